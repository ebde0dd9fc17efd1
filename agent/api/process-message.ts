/** Programs of a guest as the messages of wrenn.v1. */
import {
  ExitReason,
  type Process,
  type ProcessEvent,
  type ProcessExited,
} from '../../gen/ts/wrenn/v1/process.js';
import { toTimestamp } from '../../lib/rpc/timestamp.js';
import type { GuestProcess } from '../guest/guest-processes.js';
import type { GuestExit } from '../guest/process-events.js';
import type { ProgramEvent } from '../sandbox/conversation.js';

export function toProcessEvent({ processId, event }: ProgramEvent): ProcessEvent {
  switch (event.kind) {
    case 'started':
      return { event: { $case: 'started', value: { processId, pid: event.pid } } };
    case 'output': {
      const { stream, offset, data } = event;
      return { event: { $case: stream, value: { offset, data } } };
    }
    case 'exited':
      return { event: { $case: 'exited', value: toExited(event.exit) } };
  }
}

export function toProcess(process: GuestProcess): Process {
  const { startedAtMs, exit, ...rest } = process;
  return {
    ...rest,
    startedAt: toTimestamp(startedAtMs),
    exited: exit ? toExited(exit) : undefined,
  };
}

function toExited({ exitCode, signal, timedOut, durationMs }: GuestExit): ProcessExited {
  return { exitCode, signal, reason: reasonOf(signal, timedOut), durationMs };
}

function reasonOf(signal: string, timedOut: boolean): ExitReason {
  if (timedOut) return ExitReason.EXIT_REASON_TIMEOUT;
  return signal === '' ? ExitReason.EXIT_REASON_EXITED : ExitReason.EXIT_REASON_SIGNALED;
}
