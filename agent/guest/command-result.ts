/**
 * Collects the events of a program in a guest and holds them against the
 * contract: `started` first and once, then output, then `exited`, and nothing
 * after it; and not more of it than a program may print.
 */
import type { StartResponse } from '../../gen/ts/wrenn/envd/v1/process.js';
import { CapturedOutput } from './captured-output.js';
import { contractBroken, guestUnreachable } from './guest-error.js';
import { checkExit, type GuestExit } from './process-events.js';

/**
 * Bytes of each output that a caller gets. Both outputs, as bytes and once more as text, fit the
 * 4 MiB that gRPC clients take by default.
 */
export const CAPTURED_BYTES_MAX = 1_000_000;
/** Bytes that a guest may send for one program; beyond them the call ends. */
export const STREAM_BYTES_MAX = 1024 * 1024 * 1024;
/** What an event counts beside its content, so that empty ones do not come for ever. */
const EVENT_BYTES = 64;

export interface CommandResult {
  stdout: Buffer;
  stderr: Buffer;
  stdoutTruncated: boolean;
  stderrTruncated: boolean;
  exitCode: number;
  /** Name of the signal that ended it; empty otherwise. */
  signal: string;
  durationMs: number;
}

export class CommandEvents {
  readonly #stdout = new CapturedOutput(CAPTURED_BYTES_MAX);
  readonly #stderr = new CapturedOutput(CAPTURED_BYTES_MAX);
  readonly #streamBytesMax: number;
  #streamBytes = 0;
  #started = false;
  #exited: GuestExit | undefined;

  constructor(streamBytesMax: number) {
    this.#streamBytesMax = streamBytesMax;
  }

  /** @throws WrennError GUEST_UNREACHABLE when the guest breaks the contract. */
  add({ event }: StartResponse): void {
    if (this.#exited) throw contractBroken('an event after the end of the program');
    switch (event?.$case) {
      case 'started':
        if (this.#started) throw contractBroken('a program that started twice');
        this.#started = true;
        break;
      case 'stdout':
      case 'stderr':
        this.#requireStarted();
        this.#output(event.$case, event.value);
        break;
      case 'exited':
        this.#requireStarted();
        this.#exited = checkExit(event.value);
        break;
    }
    // Kinds of events that a newer guest may have are passed over, but they count.
    this.#count(EVENT_BYTES);
  }

  /** Whether the program was killed because its time was over. */
  get timedOut(): boolean {
    return this.#exited?.timedOut ?? false;
  }

  /** @throws WrennError GUEST_UNREACHABLE when the guest has not told how the program ended. */
  result(): CommandResult {
    if (!this.#exited) throw contractBroken('a program without an end');
    const { exitCode, signal, durationMs } = this.#exited;
    return {
      stdout: this.#stdout.content(),
      stderr: this.#stderr.content(),
      stdoutTruncated: this.#stdout.truncated,
      stderrTruncated: this.#stderr.truncated,
      exitCode,
      signal,
      durationMs,
    };
  }

  #output(stream: 'stdout' | 'stderr', data: Buffer): void {
    (stream === 'stdout' ? this.#stdout : this.#stderr).add(data);
    this.#count(data.length);
  }

  #count(bytes: number): void {
    this.#streamBytes += bytes;
    if (this.#streamBytes <= this.#streamBytesMax) return;
    throw guestUnreachable('the guest sent more output than one program may print');
  }

  #requireStarted(): void {
    if (!this.#started) throw contractBroken('an event before the start of the program');
  }
}
