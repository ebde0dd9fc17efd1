/** The handlers of the host agent's calls about programs. */
import type { HostAgentServiceService } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import type { Handlers } from '../../lib/rpc/service.js';
import type { Programs } from '../sandbox/programs.js';
import { toProcess, toProcessEvent } from './process-message.js';

type ProcessHandlers = Pick<
  Handlers<typeof HostAgentServiceService, undefined>,
  'execStream' | 'start' | 'attach' | 'listProcesses' | 'sendSignal' | 'sendInput' | 'closeStdin'
>;

export function processHandlers(programs: Programs): ProcessHandlers {
  return {
    execStream: async function* ({ signal }, requests) {
      for await (const event of programs.converse(requests, signal)) yield toProcessEvent(event);
    },
    start: async ({ signal }, request) => toProcess(await programs.start(request, signal)),
    attach: async function* ({ signal }, request) {
      for await (const event of programs.follow(request, signal)) yield toProcessEvent(event);
    },
    listProcesses: async ({ signal }, { sandboxId }) => ({
      processes: (await programs.list(sandboxId, signal)).map(toProcess),
    }),
    sendSignal: async ({ signal }, request) => {
      await programs.sendSignal(request, signal);
      return {};
    },
    sendInput: async ({ signal }, request) => {
      await programs.sendInput(request, signal);
      return {};
    },
    closeStdin: async ({ signal }, { sandboxId, processId }) => {
      await programs.closeStdin(sandboxId, processId, signal);
      return {};
    },
  };
}
