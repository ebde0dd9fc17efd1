/** A line on a terminal that says how far a copy has come. */
import type { Writable } from 'node:stream';
import { printable } from './printable.js';
import { formatSize } from './size.js';

const REFRESH_MS = 100;
const BAR_WIDTH = 24;
/** Goes to the start of the line and clears it. */
const CLEAR_LINE = '\r\x1b[K';

/** Prints nothing where nobody looks. */
export class Progress implements Disposable {
  readonly #stream: Writable & { isTTY?: boolean };
  readonly #name: string;
  readonly #totalBytes: number | undefined;
  readonly #startMs = performance.now();
  #doneBytes = 0;
  #shownMs = Number.NEGATIVE_INFINITY;

  /** @param totalBytes undefined when it is not known. */
  constructor(
    stream: Writable & { isTTY?: boolean },
    name: string,
    totalBytes: number | undefined,
  ) {
    this.#stream = stream;
    this.#name = printable(name);
    this.#totalBytes = totalBytes;
  }

  /** The same bytes, counted. */
  async *through<T extends Uint8Array>(content: AsyncIterable<T>): AsyncGenerator<T, void, void> {
    for await (const bytes of content) {
      yield bytes;
      this.#doneBytes += bytes.length;
      this.#show();
    }
  }

  /** Takes the line away. */
  end(): void {
    if (this.#shownMs > 0) this.#stream.write(CLEAR_LINE);
    this.#shownMs = Number.NEGATIVE_INFINITY;
  }

  [Symbol.dispose](): void {
    this.end();
  }

  #show(): void {
    const nowMs = performance.now();
    if (!this.#stream.isTTY || nowMs - this.#shownMs < REFRESH_MS) return;
    this.#shownMs = nowMs;
    const elapsedSec = Math.max(nowMs - this.#startMs, 1) / 1000;
    this.#stream.write(`${CLEAR_LINE}${this.#name}  ${this.#describe(elapsedSec)}`);
  }

  #describe(elapsedSec: number): string {
    const rate = `${formatSize(this.#doneBytes / elapsedSec)}/s`;
    if (!this.#totalBytes) return `${formatSize(this.#doneBytes)}  ${rate}`;
    const share = Math.min(this.#doneBytes / this.#totalBytes, 1);
    const bar = '#'.repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, '.');
    const percent = `${Math.floor(share * 100)} %`.padStart(5);
    return `[${bar}] ${percent} of ${formatSize(this.#totalBytes)}  ${rate}`;
  }
}
