/** What one step of a program printed, until it has been taken: the program goes on after that. */
import type { OutputStreamName } from '../../../../lib/guest/output-ring.js';
import type { ProgramOutput } from '../../../../lib/guest/program.js';
import { ChangeCounter } from '../../../../lib/lifecycle/change-counter.js';

/** Pieces beyond which a terminal echoes nothing, as that of the kernel without room. */
const ECHOES_MAX = 1024;

/** Stream and data, in base64. */
export type HeldState = [stream: OutputStreamName, data: string][];

export class HeldOutput {
  readonly #held: ProgramOutput[];
  readonly #changes = new ChangeCounter();
  #ended = false;

  constructor(state: HeldState) {
    this.#held = state.map(([stream, data]) => ({ stream, data: Buffer.from(data, 'base64') }));
  }

  get isEmpty(): boolean {
    return this.#held.length === 0;
  }

  export(): HeldState {
    return this.#held.map(({ stream, data }) => [stream, Buffer.from(data).toString('base64')]);
  }

  put(output: ProgramOutput): void {
    this.#held.push(output);
    this.#changes.bump();
  }

  putIfRoom(output: ProgramOutput): void {
    if (this.#held.length < ECHOES_MAX) this.put(output);
  }

  /** Says that no more comes. */
  end(): void {
    this.#ended = true;
    this.#changes.bump();
  }

  /** Resolves when all may have been taken. @throws the signal's reason. */
  async emptied(signal: AbortSignal): Promise<void> {
    await this.#changes.after(this.#changes.count, signal);
  }

  /**
   * Yields all until the end, once. A piece counts as taken when the next one is asked for: whoever
   * has put it where it belongs before that neither loses nor repeats it when the guest is stopped.
   */
  async *take(): AsyncGenerator<ProgramOutput, void, void> {
    const never = new AbortController().signal;
    for (;;) {
      const [output] = this.#held;
      if (output) {
        yield output;
        this.#held.shift();
        this.#changes.bump();
      } else if (this.#ended) {
        return;
      } else {
        await this.#changes.after(this.#changes.count, never);
      }
    }
  }
}
