/**
 * `npm run demo`: starts the platform in a place of its own, uses it once
 * through its public API, stops everything and leaves nothing behind.
 */
import { reachableAddress } from '../address.js';
import { destroySandboxes } from '../up/agent-sandboxes.js';
import { startPlatform } from '../up/platform.js';
import { QUIET_REPORT, runDemo } from './demo.js';
import { withPlatform } from './teardown.js';
import { takeTour } from './tour.js';

process.exitCode = await runDemo('demo', async (place, steps, signal) => {
  const { config } = place;
  const platform = await steps.run('start database, agent and control plane', () =>
    startPlatform(config, QUIET_REPORT, signal),
  );
  await withPlatform(
    place,
    platform,
    () => takeTour(reachableAddress(config.grpcAddress), steps, signal),
    () => destroySandboxes(config.agentSocketPath),
  );
});
