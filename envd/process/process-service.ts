/** ProcessService: runs programs in the guest. */
import type { ProcessServiceService, StartRequest } from '../../gen/ts/wrenn/envd/v1/process.js';
import { guestFailure } from '../../lib/guest/guest-failure.js';
import { launchedProcessHandlers } from '../../lib/guest/launched-process-handlers.js';
import type { LaunchedProcesses } from '../../lib/guest/launched-processes.js';
import type { CallContext } from '../../lib/rpc/call-context.js';
import type { Handlers } from '../../lib/rpc/service.js';
import { type Programs, runProgram } from './run-program.js';

/** Programs that calls of Start wait for at one time. */
export const PROGRAMS_MAX = 256;

export function processHandlers(
  programs: Programs,
  launched: LaunchedProcesses,
): Handlers<typeof ProcessServiceService, undefined> {
  let running = 0;
  return {
    async *start(context: CallContext, request: StartRequest) {
      if (running >= PROGRAMS_MAX) throw guestFailure('program_limit');
      running += 1;
      try {
        yield* runProgram(programs, request, context.signal);
      } finally {
        running -= 1;
      }
    },
    ...launchedProcessHandlers(launched),
  };
}
