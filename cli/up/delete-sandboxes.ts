/**
 * Deletes every sandbox of this machine: those of the local user as the user
 * would, and whatever is left, of other teams, at the agent itself.
 */
import { credentials } from '@grpc/grpc-js';
import { WrennApiError, WrennClient } from '../../clients/typescript/index.js';
import { HostAgentServiceService } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { mapConcurrently } from '../../lib/lifecycle/map-concurrently.js';
import { createClient } from '../../lib/rpc/client.js';
import { reachableAddress } from '../address.js';
import type { PlatformConfig } from '../config.js';
import { readLocalKey } from './local-user.js';

const DELETES_AT_ONCE_MAX = 8;
const LIST_TIMEOUT_MS = 10_000;
const DESTROY_TIMEOUT_MS = 60_000;

/** @returns how many were deleted. */
export async function deleteSandboxes(config: PlatformConfig): Promise<number> {
  const apiKey = await readLocalKey(config.stateDirectory);
  const own = apiKey === undefined ? 0 : await deleteOwn(config, apiKey);
  return own + (await destroySandboxes(config.agentSocketPath));
}

async function deleteOwn({ grpcAddress }: PlatformConfig, apiKey: string): Promise<number> {
  using client = new WrennClient({ address: reachableAddress(grpcAddress), apiKey });
  const ids: string[] = [];
  for await (const { sandboxId } of client.sandboxes.list()) ids.push(sandboxId);
  await mapConcurrently(ids, DELETES_AT_ONCE_MAX, async (id) => {
    try {
      await client.sandboxes.delete(id);
    } catch (error) {
      // Its own timeout, or somebody else, may have been faster.
      if (!(error instanceof WrennApiError) || error.reason !== 'SANDBOX_NOT_FOUND') throw error;
    }
  });
  return ids.length;
}

/** Ends every sandbox of an agent. @returns how many there were. */
export async function destroySandboxes(socketPath: string): Promise<number> {
  const agent = createClient(
    HostAgentServiceService,
    `unix:${socketPath}`,
    credentials.createInsecure(),
  );
  try {
    const { sandboxes } = await agent.listSandboxes({}, { timeoutMs: LIST_TIMEOUT_MS });
    await mapConcurrently(sandboxes, DELETES_AT_ONCE_MAX, ({ sandboxId, generation }) =>
      agent.destroySandbox({ sandboxId, generation }, { timeoutMs: DESTROY_TIMEOUT_MS }),
    );
    return sandboxes.length;
  } finally {
    agent.close();
  }
}
