/** SandboxService. */
import { ResumeMode, type SandboxServiceService } from '../../gen/ts/wrenn/v1/sandbox.js';
import type { SandboxCreator } from '../app/create-sandbox.js';
import type { SandboxForker } from '../app/fork-sandbox.js';
import { nextPageToken, toPageRequest } from '../app/page-token.js';
import type { SandboxPauser } from '../app/pause-sandbox.js';
import type { SandboxResumer } from '../app/resume-sandbox.js';
import type { SandboxOperations } from '../app/sandbox.js';
import { teamOf } from '../auth/principal.js';
import type { PublicHandlers } from './handlers.js';
import { fromTimeoutAction, toFilter, toForkResult, toSandbox } from './sandbox-message.js';

const FORK_COUNT_DEFAULT = 1;

export interface SandboxParts {
  creator: SandboxCreator;
  sandboxes: SandboxOperations;
  pauser: SandboxPauser;
  resumer: SandboxResumer;
  forker: SandboxForker;
}

export function sandboxHandlers({
  creator,
  sandboxes,
  pauser,
  resumer,
  forker,
}: SandboxParts): PublicHandlers<typeof SandboxServiceService> {
  return {
    createSandbox: async ({ principal, signal }, request) => {
      const onTimeout = fromTimeoutAction(request.onTimeout) ?? 'delete';
      return toSandbox(await creator.create(teamOf(principal), { ...request, onTimeout }, signal));
    },

    getSandbox: async ({ principal }, { sandboxId }) =>
      toSandbox(await sandboxes.get(teamOf(principal), sandboxId)),

    listSandboxes: async ({ principal }, request) => {
      const filter = toFilter(request);
      const page = await sandboxes.list(teamOf(principal), toPageRequest(request), filter);
      return { sandboxes: page.items.map(toSandbox), nextPageToken: nextPageToken(page) };
    },

    deleteSandbox: async ({ principal }, { sandboxId }) => {
      await sandboxes.delete(teamOf(principal), sandboxId);
      return {};
    },

    pingSandbox: async ({ principal }, { sandboxId }) =>
      toSandbox(await sandboxes.ping(teamOf(principal), sandboxId)),

    pauseSandbox: async ({ principal }, { sandboxId }) =>
      toSandbox(await pauser.pause(teamOf(principal), sandboxId)),

    resumeSandbox: async ({ principal }, { sandboxId, mode }) => {
      const cold = mode === ResumeMode.RESUME_MODE_COLD;
      const { sandbox, steps } = await resumer.resume(teamOf(principal), sandboxId, { cold });
      return { sandbox: toSandbox(sandbox), steps: [...steps] };
    },

    setSandboxTimeout: async ({ principal }, { sandboxId, timeoutSec, onTimeout }) => {
      const wish = { timeoutSec, onTimeout: fromTimeoutAction(onTimeout) };
      return toSandbox(await sandboxes.setTimeout(teamOf(principal), sandboxId, wish));
    },

    forkSandbox: async ({ principal, signal }, { sandboxId, count }) => {
      const copies = count || FORK_COUNT_DEFAULT;
      const forked = await forker.fork(teamOf(principal), sandboxId, copies, signal);
      return { results: forked.map(toForkResult) };
    },

    listGenerations: async ({ principal }, { sandboxId }) =>
      sandboxes.listGenerations(teamOf(principal), sandboxId),

    verifyGeneration: async ({ principal, signal }, { sandboxId }) =>
      sandboxes.verifyGeneration(teamOf(principal), sandboxId, signal),
  };
}
