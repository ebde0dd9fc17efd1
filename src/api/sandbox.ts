/** SandboxService. */
import {
  type Sandbox,
  type SandboxServiceService,
  SandboxState,
} from '../../gen/ts/wrenn/v1/sandbox.js';
import { reasonNumber } from '../../lib/errors/index.js';
import { toTimestamp } from '../../lib/rpc/timestamp.js';
import type { SandboxCreator } from '../app/create-sandbox.js';
import { nextPageToken, toPageRequest } from '../app/page-token.js';
import type { SandboxOperations } from '../app/sandbox.js';
import { teamOf } from '../auth/principal.js';
import type { SandboxRecord, SandboxState as StoredState } from '../store/sandbox.js';
import type { PublicHandlers } from './handlers.js';

const STATES: Record<StoredState, SandboxState> = {
  STARTING: SandboxState.SANDBOX_STATE_STARTING,
  RUNNING: SandboxState.SANDBOX_STATE_RUNNING,
  DELETING: SandboxState.SANDBOX_STATE_DELETING,
  LOST: SandboxState.SANDBOX_STATE_LOST,
  FAILED: SandboxState.SANDBOX_STATE_FAILED,
  // Nobody sees a deleted sandbox but who deletes it at this moment.
  DELETED: SandboxState.SANDBOX_STATE_DELETING,
};

export function sandboxHandlers(
  creator: SandboxCreator,
  sandboxes: SandboxOperations,
): PublicHandlers<typeof SandboxServiceService> {
  return {
    createSandbox: async ({ principal, signal }, request) =>
      toSandbox(await creator.create(teamOf(principal), request, signal)),

    getSandbox: async ({ principal }, { sandboxId }) =>
      toSandbox(await sandboxes.get(teamOf(principal), sandboxId)),

    listSandboxes: async ({ principal }, request) => {
      const page = await sandboxes.list(teamOf(principal), toPageRequest(request));
      return { sandboxes: page.items.map(toSandbox), nextPageToken: nextPageToken(page) };
    },

    deleteSandbox: async ({ principal }, { sandboxId }) => {
      await sandboxes.delete(teamOf(principal), sandboxId);
      return {};
    },

    pingSandbox: async ({ principal }, { sandboxId }) =>
      toSandbox(await sandboxes.ping(teamOf(principal), sandboxId)),
  };
}

function toSandbox(sandbox: SandboxRecord): Sandbox {
  return {
    sandboxId: sandbox.id,
    template: sandbox.template,
    state: STATES[sandbox.state],
    stateReason: reasonNumber(sandbox.stateReason ?? 'UNSPECIFIED'),
    vcpus: sandbox.vcpus,
    memoryMb: sandbox.memoryMb,
    timeoutSec: sandbox.timeoutSec,
    metadata: sandbox.metadata,
    guestIp: sandbox.guestIp,
    hostIp: sandbox.hostIp,
    createdAt: toTimestamp(sandbox.createdAt.getTime()),
    startedAt: sandbox.startedAt && toTimestamp(sandbox.startedAt.getTime()),
    lastActiveAt: toTimestamp(sandbox.lastActiveAt.getTime()),
    hostId: sandbox.hostId,
  };
}
