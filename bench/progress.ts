/** Says what a benchmark is doing: in one line that changes on a terminal, else a line a step. */
import type { WriteStream } from 'node:tty';

const CLEAR_LINE = '\r\x1b[K';

export class Progress {
  readonly #stream: Pick<WriteStream, 'write'> & { isTTY?: boolean };
  #step = '';

  constructor(stream: Pick<WriteStream, 'write'> & { isTTY?: boolean }) {
    this.#stream = stream;
  }

  /** Shows a step, and how many of its rounds are done. */
  show(step: string, done?: number, total?: number): void {
    if (this.#stream.isTTY) {
      const rounds = total === undefined ? '' : ` ${done}/${total}`;
      this.#stream.write(`${CLEAR_LINE}${step}${rounds}`);
    } else if (step !== this.#step) {
      this.#stream.write(`${step}\n`);
    }
    this.#step = step;
  }

  /** Makes room for other output. */
  clear(): void {
    if (this.#stream.isTTY) this.#stream.write(CLEAR_LINE);
  }
}
