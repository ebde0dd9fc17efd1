/**
 * What the guest prints on its serial console. QEMU keeps the last 64 KiB in a
 * ring, and reading takes them out; so they are read every second, also to have
 * them when the VMM ends.
 */
import { OutputTail } from '../launch/output-tail.js';
import { CONSOLE_BYTES, CONSOLE_ID } from './command-line.js';
import type { QmpExecute } from './qmp.js';

export const CONSOLE_READ_INTERVAL_MS = 1000;

export class GuestConsole {
  readonly #execute: QmpExecute;
  readonly #tail = new OutputTail(CONSOLE_BYTES);
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #reading: Promise<void> | undefined;

  constructor(execute: QmpExecute) {
    this.#execute = execute;
  }

  /** Reads every second until `close`. */
  follow(): void {
    if (this.#closed) return;
    this.#timer = setInterval(() => void this.#readMore(), CONSOLE_READ_INTERVAL_MS);
    this.#timer.unref();
  }

  /** The last output; of a VMM that does not answer, what was read before. */
  async read(): Promise<string> {
    await this.#readMore();
    return this.#tail.text();
  }

  /** The last output that has been read. */
  get lastText(): string {
    return this.#tail.text();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  /** Never rejects, and a VMM that hangs is asked once at a time. */
  async #readMore(): Promise<void> {
    this.#reading ??= this.#readRing()
      .catch(() => undefined)
      .finally(() => {
        this.#reading = undefined;
      });
    await this.#reading;
  }

  async #readRing(): Promise<void> {
    const output = await this.#execute('ringbuf-read', {
      device: CONSOLE_ID,
      size: CONSOLE_BYTES,
      // Text would have to be valid UTF-8, which a guest need not print.
      format: 'base64',
    });
    if (typeof output === 'string') this.#tail.append(Buffer.from(output, 'base64'));
  }
}
