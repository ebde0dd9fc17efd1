/** ProcessService of a fake guest. */
import type {
  ProcessServiceService,
  StartRequest,
} from '../../../../gen/ts/wrenn/envd/v1/process.js';
import type { FaultStep } from '../../../../lib/faults/fault-plan.js';
import { launchedProcessHandlers } from '../../../../lib/guest/launched-process-handlers.js';
import type { CallContext } from '../../../../lib/rpc/call-context.js';
import type { Handlers } from '../../../../lib/rpc/service.js';
import type { FakeCalls } from '../calls.js';
import type { FakeProcesses } from './processes.js';

export function processHandlers(
  processes: FakeProcesses,
  calls: FakeCalls,
): Handlers<typeof ProcessServiceService, undefined> {
  const launched = launchedProcessHandlers(processes.launched);

  /** Lets a call go through once it has begun, and gives its answer while the machine runs. */
  function gated<Request, Answer>(
    step: FaultStep,
    handle: (context: CallContext, request: Request) => Promise<Answer>,
  ) {
    return async (context: CallContext, request: Request): Promise<Answer> => {
      await calls.reach(step, context.signal);
      const answer = await handle(context, request);
      await calls.pass();
      return answer;
    };
  }

  /** The same for a stream. */
  function followed<Request, Event>(
    step: FaultStep,
    handle: (context: CallContext, request: Request) => AsyncIterable<Event>,
  ) {
    return async function* (context: CallContext, request: Request) {
      await calls.reach(step, context.signal);
      const open = (signal: AbortSignal) => handle({ ...context, signal }, request);
      yield* calls.follow(open, context.signal);
    };
  }

  return {
    start: followed('guest.start', ({ signal }, request: StartRequest) =>
      processes.start(request, signal),
    ),
    launch: followed('guest.launch', launched.launch),
    attach: followed('guest.attach', launched.attach),
    listProcesses: gated('guest.list_processes', launched.listProcesses),
    sendSignal: gated('guest.signal', launched.sendSignal),
    sendInput: gated('guest.input', launched.sendInput),
    closeStdin: gated('guest.close_stdin', launched.closeStdin),
    resize: gated('guest.resize', launched.resize),
  };
}
