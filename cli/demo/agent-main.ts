/**
 * `npm run demo:agent`: boots a VM by the host agent alone, over its private
 * gRPC socket. There is no control plane and no database.
 */
import { credentials } from '@grpc/grpc-js';
import { HostAgentServiceService } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { randomId } from '../../lib/ids/random-id.js';
import { createClient, type RpcClient } from '../../lib/rpc/client.js';
import { CliError } from '../failure.js';
import { destroySandboxes } from '../up/agent-sandboxes.js';
import { startAgentAlone } from '../up/platform.js';
import { QUIET_REPORT, runDemo } from './demo.js';
import type { Steps } from './steps.js';
import { withPlatform } from './teardown.js';

/** A first boot under emulation on a busy machine. */
const CREATE_TIMEOUT_MS = 300_000;
const EXEC_TIMEOUT_SEC = 30;
const CALL_TIMEOUT_MS = 60_000;

process.exitCode = await runDemo('demo-agent', async (place, steps, signal) => {
  const { config } = place;
  const agent = await steps.run('start the agent', () =>
    startAgentAlone(config, QUIET_REPORT, signal),
  );
  const target = `unix:${config.agentSocketPath}`;
  const client = createClient(HostAgentServiceService, target, credentials.createInsecure());
  try {
    await withPlatform(
      place,
      agent,
      () => bootOnce(client, steps, signal),
      () => destroySandboxes(config.agentSocketPath),
    );
  } finally {
    client.close();
  }
});

async function bootOnce(
  client: RpcClient<typeof HostAgentServiceService>,
  steps: Steps,
  signal: AbortSignal,
): Promise<void> {
  const host = await client.getHost({}, { timeoutMs: CALL_TIMEOUT_MS, signal });
  steps.show(`driver ${host.driver}, accelerator ${host.accelerator}`);

  const sandboxId = randomId();
  const request = {
    ...{ sandboxId, generation: 1, template: 'minimal' },
    ...{ vcpus: 1, memoryMb: 512, timeoutSec: 0, pauseOnTimeout: false, env: {}, snapshotId: '' },
  };
  await steps.run('boot a VM', () =>
    client.createSandbox(request, { timeoutMs: CREATE_TIMEOUT_MS, signal }),
  );

  const command = { cmd: 'echo', args: ['hello'], timeoutSec: EXEC_TIMEOUT_SEC };
  const result = await steps.run('run echo hello in it', () =>
    client.exec(
      { ...command, sandboxId, env: {}, cwd: '', user: '', stdin: Buffer.of() },
      { timeoutMs: CALL_TIMEOUT_MS, signal },
    ),
  );
  const printed = result.stdout.toString();
  if (printed !== 'hello\n') throw new CliError(`the VM printed ${JSON.stringify(printed)}`);
  steps.show(printed);

  await steps.run('destroy the VM', () =>
    client.destroySandbox({ sandboxId, generation: 1 }, { timeoutMs: CALL_TIMEOUT_MS, signal }),
  );
}
