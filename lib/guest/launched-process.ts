/** One launched program: its output in a ring, its input, who holds it back, and how it ended. */
import { constants } from 'node:os';
import {
  type LaunchRequest,
  OutputStream,
  type Process,
  type ProcessEvent,
  type ProcessEvent_Exited,
  type TerminalSize,
} from '../../gen/ts/wrenn/envd/v1/process.js';
import { callAfter } from './deadline.js';
import { guestFailure } from './guest-failure.js';
import { type InputPiece, InputQueue } from './input-queue.js';
import { OutputHold } from './output-hold.js';
import { OUTPUT_PIECE_BYTES_MAX, OutputRing, type OutputStreamName } from './output-ring.js';
import { LISTED_ARGS_LENGTH_MAX } from './process-limits.js';
import type { LaunchedProcessState } from './process-state.js';
import type { Program, ProgramExit } from './program.js';

const STREAMS: Record<OutputStreamName, OutputStream> = {
  stdout: OutputStream.OUTPUT_STREAM_STDOUT,
  stderr: OutputStream.OUTPUT_STREAM_STDERR,
  pty: OutputStream.OUTPUT_STREAM_PTY,
};
const NANOSECONDS_PER_MS = 1_000_000n;

/** Where a stream starts, and for whom. */
export interface Follower {
  /** Undefined for the first output that is kept. */
  offset: number | undefined;
  /** The program waits for this stream when it is the id that the program was launched with. */
  holderId: string;
  /** The other end of the stream's connection. */
  peer: string;
  /** Aborts when the stream is over. */
  signal: AbortSignal;
}

export interface StartedAt {
  /** `performance.now()` */
  timeMs: number;
  /** `Date.now()` */
  wallClockMs: number;
}

export class LaunchedProcess {
  readonly #request: LaunchRequest;
  readonly #program: Program;
  readonly #startedAt: StartedAt;
  readonly #ring: OutputRing;
  readonly #input: InputQueue;
  readonly #hold: OutputHold;
  readonly #onSettled: () => void;
  #hasExited = false;
  #timedOut = false;
  /** Set when all output is in the ring. */
  #end: ProcessEvent_Exited | undefined;

  /**
   * Takes over a program that was started.
   * @param onSettled called once it has ended and nobody holds it; again when that comes anew.
   * @param before what another table knew of it.
   */
  constructor(
    request: LaunchRequest,
    program: Program,
    startedAt: StartedAt,
    holderReturnMs: number,
    onSettled: () => void,
    before?: LaunchedProcessState,
  ) {
    this.#request = request;
    this.#program = program;
    this.#startedAt = startedAt;
    this.#onSettled = onSettled;
    this.#ring = before ? OutputRing.import(before.ring) : new OutputRing();
    this.#input = before
      ? InputQueue.import(program, before.input)
      : new InputQueue(program, request.closeStdin);
    this.#hold = new OutputHold(holderReturnMs, (offset) => this.#moveHold(offset));
    if (before) this.#continue(before);
    else void this.#run();
  }

  get id(): string {
    return this.#request.processId;
  }

  /** Bytes of output that are kept. */
  get sizeBytes(): number {
    return this.#ring.sizeBytes;
  }

  /**
   * The events of the program from an offset on: `started`, output, `exited`.
   * @throws WrennError OUTPUT_OUT_OF_RANGE at the start, and when the stream falls behind the ring.
   */
  async *follow({ offset, holderId, peer, signal }: Follower): AsyncIterable<ProcessEvent> {
    let position = offset ?? this.#ring.firstOffset;
    this.#ring.requireOffset(position);
    const holds = holderId !== '' && holderId === this.#request.holderId;
    const grip = holds ? this.#hold.take(position, peer) : undefined;
    try {
      yield { event: { $case: 'started', value: { pid: this.#program.pid } } };
      for (;;) {
        const chunk = this.#ring.read(position);
        if (chunk) {
          const value = { ...chunk, stream: STREAMS[chunk.stream], offset: BigInt(position) };
          yield { event: { $case: 'output', value } };
          position += chunk.data.length;
          grip?.advance(position);
        } else if (this.#end) {
          yield { event: { $case: 'exited', value: this.#end } };
          return;
        } else {
          await this.#ring.changed(signal);
        }
      }
    } finally {
      grip?.release();
    }
  }

  /** @throws WrennError PROCESS_STATE when the program has ended. */
  signal(number: number): void {
    this.#requireRunning();
    this.#program.signal(number);
  }

  /** See InputQueue. */
  sendInput(piece: InputPiece, signal: AbortSignal): Promise<void> {
    return this.#input.send(piece, signal);
  }

  /** See InputQueue. */
  closeInput(): void {
    this.#input.close();
  }

  /** @throws WrennError PROCESS_STATE when the program has no terminal, or has ended. */
  async resize(size: TerminalSize): Promise<void> {
    if (!this.#request.pty) throw guestFailure('no_terminal');
    this.#requireRunning();
    await this.#program.resize(size);
  }

  /** Waits a while for the holder that it was launched with, from its first byte on. */
  expectHolder(): void {
    if (this.#request.holderId !== '' && !this.#hold.isHeld) this.#hold.restore(0);
  }

  /** See OutputHold. */
  expectHolderToReturn(stayingPeer: string): void {
    this.#hold.expectReturn(stayingPeer);
  }

  describe(): Process {
    const { processId, cmd, args, user, pty } = this.#request;
    return {
      processId,
      pid: this.#program.pid,
      cmd,
      args: firstCharacters(args, LISTED_ARGS_LENGTH_MAX),
      user: user || 'root',
      cwd: this.#program.cwd,
      pty: pty !== undefined,
      startedAtNs: BigInt(this.#startedAt.wallClockMs) * NANOSECONDS_PER_MS,
      exited: this.#end,
      firstOffset: BigInt(this.#ring.firstOffset),
      nextOffset: BigInt(this.#ring.nextOffset),
    };
  }

  export(): LaunchedProcessState {
    const { heldFrom } = this.#ring;
    return {
      request: { ...this.#request, timeoutMs: String(this.#request.timeoutMs) },
      startedAtMs: this.#startedAt.wallClockMs,
      ranMs: performance.now() - this.#startedAt.timeMs,
      ring: this.#ring.export(),
      ...(heldFrom === undefined ? {} : { heldFrom }),
      input: this.#input.export(),
      timedOut: this.#timedOut,
      ...(this.#end ? { end: this.#end } : {}),
    };
  }

  #continue({ heldFrom, timedOut, end }: LaunchedProcessState): void {
    this.#timedOut = timedOut;
    this.#end = end;
    this.#hasExited = end !== undefined;
    if (heldFrom !== undefined) this.#hold.restore(heldFrom);
    if (!end) void this.#run();
    // The caller, who has no process yet, hears of it when it has one.
    else if (!this.#hold.isHeld) queueMicrotask(this.#onSettled);
  }

  async #run(): Promise<void> {
    const timeoutMs = Number(this.#request.timeoutMs);
    const stopTimer =
      timeoutMs > 0
        ? callAfter(this.#startedAt.timeMs + timeoutMs - performance.now(), () => this.#expire())
        : () => undefined;
    const exited = this.#program.exited.then((exit) => {
      stopTimer();
      this.#hasExited = true;
      this.#input.end();
      return exit;
    });
    await this.#copyOutput();
    this.#settle(await exited);
  }

  async #copyOutput(): Promise<void> {
    const never = new AbortController().signal;
    for await (const { stream, data } of this.#program.output) {
      for (let taken = 0; taken < data.length; taken += OUTPUT_PIECE_BYTES_MAX) {
        while (this.#ring.holdsBack) await this.#ring.changed(never);
        this.#ring.append(stream, data.subarray(taken, taken + OUTPUT_PIECE_BYTES_MAX));
      }
    }
  }

  #settle({ exitCode, signal, endedAt }: ProgramExit): void {
    const durationMs = endedAt - this.#startedAt.timeMs;
    this.#end = { exitCode, signal, timedOut: this.#timedOut, durationMs };
    this.#ring.wake();
    if (!this.#hold.isHeld) this.#onSettled();
  }

  #moveHold(offset: number | undefined): void {
    this.#ring.holdFrom(offset);
    if (offset === undefined && this.#end) this.#onSettled();
  }

  #expire(): void {
    this.#timedOut = true;
    this.#program.signal(constants.signals.SIGKILL);
  }

  #requireRunning(): void {
    if (this.#hasExited) throw guestFailure('process_ended');
  }
}

function firstCharacters(texts: readonly string[], lengthMax: number): string[] {
  const kept: string[] = [];
  let left = lengthMax;
  for (const text of texts) {
    if (left <= 0) break;
    kept.push(text.slice(0, left));
    left -= text.length;
  }
  return kept;
}
