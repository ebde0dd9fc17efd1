/**
 * `npm run demo`: starts the platform in a place of its own, uses it once
 * through its public API, stops everything and leaves nothing behind.
 */
import { reachableAddress } from '../address.js';
import { deleteSandboxes } from '../up/delete-sandboxes.js';
import { startPlatform } from '../up/platform.js';
import { QUIET_REPORT, runDemo } from './demo.js';
import { takeTour } from './tour.js';

process.exitCode = await runDemo('demo', async ({ config }, steps, signal) => {
  const platform = await steps.run('start database, agent and control plane', () =>
    startPlatform(config, QUIET_REPORT, signal),
  );
  try {
    await Promise.race([
      takeTour(reachableAddress(config.grpcAddress), steps, signal),
      platform.failed,
    ]);
  } finally {
    await steps.run('stop everything', async () => {
      await deleteSandboxes(config);
      await platform.stop();
    });
  }
});
