/**
 * Input on its way to a program. Each piece comes in exactly once, however often it is sent: a
 * writer numbers its pieces, and a number that is not above the writer's last is passed over.
 */
import { ChangeCounter } from '../lifecycle/change-counter.js';
import { Semaphore } from '../lifecycle/semaphore.js';
import { guestFailure } from './guest-failure.js';
import { INPUT_QUEUE_BYTES_MAX, INPUT_WRITERS_MAX } from './process-limits.js';
import type { InputState } from './process-state.js';
import type { Program } from './program.js';

export interface InputPiece {
  input: Buffer;
  /** Who numbers the piece. */
  writerId: string;
  /** From 1. */
  sequence: bigint;
}

type State = InputState['state'];

export class InputQueue {
  readonly #program: Pick<Program, 'write' | 'closeInput'>;
  readonly #changes = new ChangeCounter();
  /** One piece after the other, so that no later one overtakes a piece that waits for room. */
  readonly #turn = new Semaphore(1);
  /** Last number of each writer, the one who wrote last at the end. */
  readonly #sequences = new Map<string, bigint>();
  #queuedBytes = 0;
  #state: State;

  constructor(program: Pick<Program, 'write' | 'closeInput'>, isClosed: boolean) {
    this.#program = program;
    this.#state = isClosed ? 'input_closed' : 'open';
  }

  /** Makes a queue that knows what another one did; what was queued in it the program has. */
  static import(program: Pick<Program, 'write' | 'closeInput'>, before: InputState): InputQueue {
    const queue = new InputQueue(program, false);
    queue.#state = before.state;
    for (const [writer, last] of before.sequences) queue.#sequences.set(writer, BigInt(last));
    return queue;
  }

  export(): InputState {
    const sequences = [...this.#sequences].map(
      ([writer, last]) => [writer, String(last)] as [string, string],
    );
    return { state: this.#state, sequences };
  }

  /**
   * Queues a piece of at most INPUT_QUEUE_BYTES_MAX, when there is room.
   * @throws WrennError PROCESS_STATE when the input is closed or the program has ended; the
   *   signal's reason when it aborts first, and then nothing was queued.
   */
  send(piece: InputPiece, signal: AbortSignal): Promise<void> {
    return this.#turn.run(() => this.#queue(piece, signal), signal);
  }

  /** Closes the input behind what is queued. Idempotent. */
  close(): void {
    if (this.#state !== 'open') return;
    this.#leave('input_closed');
    this.#program.closeInput();
  }

  /** Takes no more: the program has ended. */
  end(): void {
    this.#leave('process_ended');
  }

  async #queue({ input, writerId, sequence }: InputPiece, signal: AbortSignal): Promise<void> {
    const last = this.#sequences.get(writerId) ?? 0n;
    if (sequence <= last) return this.#remember(writerId, last);
    this.#requireOpen();
    while (this.#queuedBytes + input.length > INPUT_QUEUE_BYTES_MAX) {
      await this.#changes.after(this.#changes.count, signal);
      this.#requireOpen();
    }
    this.#remember(writerId, sequence);
    if (input.length > 0) void this.#write(input);
  }

  async #write(input: Buffer): Promise<void> {
    this.#queuedBytes += input.length;
    try {
      await this.#program.write(input);
    } catch {
      // The program has closed its end; it may well run on.
      if (this.#state === 'open') this.#state = 'input_closed';
    }
    this.#queuedBytes -= input.length;
    this.#changes.bump();
  }

  #leave(state: State): void {
    this.#state = state;
    this.#changes.bump();
  }

  #requireOpen(): void {
    if (this.#state !== 'open') throw guestFailure(this.#state);
  }

  #remember(writerId: string, sequence: bigint): void {
    this.#sequences.delete(writerId);
    this.#sequences.set(writerId, sequence);
    const [oldest] = this.#sequences.keys();
    if (this.#sequences.size > INPUT_WRITERS_MAX) this.#sequences.delete(oldest ?? '');
  }
}
