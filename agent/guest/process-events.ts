/**
 * Holds the events of a launched program against the contract: `started` first
 * and once, output whose offsets have neither gap nor overlap, `exited`, and
 * nothing after it.
 */
import {
  OutputStream,
  type ProcessEvent,
  type ProcessEvent_Exited,
  type ProcessEvent_Output,
  type StartResponse_Exited,
} from '../../gen/ts/wrenn/envd/v1/process.js';
import { OUTPUT_CHUNK_BYTES_MAX, type OutputStreamName } from '../../lib/guest/output-ring.js';
import { contractBroken } from './guest-error.js';
import { isSignalName } from './signal-names.js';

/** Events of kinds that a newer guest may have; more of them on one stream are no mistake. */
const UNKNOWN_EVENTS_MAX = 1000;
const EXIT_CODE_MAX = 255;

export interface GuestExit {
  exitCode: number;
  /** Name of the signal that ended it; empty otherwise. */
  signal: string;
  timedOut: boolean;
  durationMs: number;
}

export type GuestProcessEvent =
  | { kind: 'started'; pid: number }
  | { kind: 'output'; stream: OutputStreamName; offset: number; data: Buffer }
  | { kind: 'exited'; exit: GuestExit };

const STREAM_NAMES: Partial<Record<OutputStream, OutputStreamName>> = {
  [OutputStream.OUTPUT_STREAM_STDOUT]: 'stdout',
  [OutputStream.OUTPUT_STREAM_STDERR]: 'stderr',
  [OutputStream.OUTPUT_STREAM_PTY]: 'pty',
};

/**
 * Checks the events of one stream.
 * @param nextOffset offset of the first output; undefined when the guest chooses it.
 * @throws WrennError GUEST_UNREACHABLE when the guest breaks the contract.
 */
export async function* checkProcessEvents(
  events: AsyncIterable<ProcessEvent>,
  nextOffset: number | undefined,
): AsyncGenerator<GuestProcessEvent, void, void> {
  const check = new ProcessEventCheck(nextOffset);
  for await (const { event } of events) {
    const checked = check.next(event);
    if (checked) yield checked;
  }
  check.end();
}

class ProcessEventCheck {
  #nextOffset: number | undefined;
  #unknown = 0;
  #state: 'waiting' | 'running' | 'exited' = 'waiting';

  constructor(nextOffset: number | undefined) {
    this.#nextOffset = nextOffset;
  }

  next(event: ProcessEvent['event']): GuestProcessEvent | undefined {
    if (this.#state === 'exited') throw contractBroken('an event after the end of the program');
    if (event?.$case === 'started') return this.#start(event.value.pid);
    if (this.#state === 'waiting') throw contractBroken('an event before the start of the program');
    switch (event?.$case) {
      case 'output':
        return this.#output(event.value);
      case 'exited':
        this.#state = 'exited';
        return { kind: 'exited', exit: checkExit(event.value) };
      default:
        this.#unknown += 1;
        if (this.#unknown > UNKNOWN_EVENTS_MAX) throw contractBroken('unknown events without end');
        return undefined;
    }
  }

  end(): void {
    if (this.#state !== 'exited') throw contractBroken('a program without an end');
  }

  #start(pid: number): GuestProcessEvent {
    if (this.#state === 'running') throw contractBroken('a program that started twice');
    this.#state = 'running';
    return { kind: 'started', pid };
  }

  #output({ stream: number, offset: bigOffset, data }: ProcessEvent_Output): GuestProcessEvent {
    const stream = STREAM_NAMES[number];
    const offset = toOffset(bigOffset);
    if (!stream) throw contractBroken('output of an unknown stream');
    if (data.length === 0 || data.length > OUTPUT_CHUNK_BYTES_MAX) {
      throw contractBroken('output of a size that no piece has');
    }
    if (this.#nextOffset !== undefined && offset !== this.#nextOffset) {
      throw contractBroken('output with a gap or an overlap');
    }
    this.#nextOffset = offset + data.length;
    return { kind: 'output', stream, offset, data };
  }
}

/** @throws WrennError GUEST_UNREACHABLE for an end that no program has. */
export function checkExit(exited: ProcessEvent_Exited | StartResponse_Exited): GuestExit {
  const { exitCode, signal, timedOut, durationMs } = exited;
  if (exitCode < 0 || exitCode > EXIT_CODE_MAX) throw contractBroken('an exit code out of range');
  if (signal !== '' && !isSignalName(signal)) throw contractBroken('an unknown signal');
  if (!Number.isFinite(durationMs) || durationMs < 0) {
    throw contractBroken('an impossible duration');
  }
  return { exitCode, signal, timedOut, durationMs };
}

/** @throws WrennError GUEST_UNREACHABLE for what a number cannot hold exactly. */
export function toOffset(offset: bigint): number {
  const number = Number(offset);
  if (!Number.isSafeInteger(number)) throw contractBroken('an impossible offset');
  return number;
}
