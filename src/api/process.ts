/** ProcessService. */
import type { ProcessServiceService } from '../../gen/ts/wrenn/v1/process.js';
import type { ProcessOperations } from '../app/process.js';
import { teamOf } from '../auth/principal.js';
import type { PublicHandlers } from './handlers.js';
import { streamCaller } from './stream-caller.js';

export function processHandlers(
  processes: ProcessOperations,
): PublicHandlers<typeof ProcessServiceService> {
  return {
    exec: ({ principal, signal }, request) => processes.exec(teamOf(principal), request, signal),

    execStream: (context, requests) => processes.execStream(streamCaller(context), requests),

    start: ({ principal, signal }, request) => processes.start(teamOf(principal), request, signal),

    attach: (context, request) => processes.attach(streamCaller(context), request),

    listProcesses: ({ principal, signal }, { sandboxId }) =>
      processes.list(teamOf(principal), sandboxId, signal),

    sendSignal: async ({ principal, signal }, request) => {
      await processes.sendSignal(teamOf(principal), request, signal);
      return {};
    },

    sendInput: async ({ principal, signal }, request) => {
      await processes.sendInput(teamOf(principal), request, signal);
      return {};
    },

    closeStdin: async ({ principal, signal }, request) => {
      await processes.closeStdin(teamOf(principal), request, signal);
      return {};
    },
  };
}
