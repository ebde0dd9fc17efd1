/** Where a program's output goes. */
import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** Writes as fast as the reader takes it. A reader that has gone is no fault. */
export class Output implements Disposable {
  readonly #stream: Writable;
  readonly #left: AbortSignal;
  readonly #onClosed: () => void;
  #isClosed = false;

  /**
   * @param left ends the wait for a reader that is slow.
   * @param onClosed nobody reads any more.
   */
  constructor(stream: Writable, left: AbortSignal, onClosed: () => void) {
    this.#stream = stream;
    this.#left = left;
    this.#onClosed = onClosed;
    stream.on('error', this.#end);
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#isClosed || this.#stream.write(bytes)) return;
    // What goes wrong is told by the stream itself.
    await once(this.#stream, 'drain', { signal: this.#left }).catch(() => undefined);
  }

  [Symbol.dispose](): void {
    this.#stream.off('error', this.#end);
  }

  readonly #end = () => {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClosed();
  };
}
