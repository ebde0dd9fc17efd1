/** Work that goes on when nobody waits for it any more; a shutdown waits for it. */
import { delay } from '../../lib/lifecycle/delay.js';
import type { Log } from '../../lib/log/log.js';

export class Background {
  readonly #log: Log;
  readonly #running = new Set<Promise<unknown>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Makes a shutdown wait for `work`; its outcome is the caller's. */
  track<T>(work: Promise<T>): Promise<T> {
    const settled = work.then(
      () => undefined,
      () => undefined,
    );
    this.#running.add(settled);
    void settled.then(() => this.#running.delete(settled));
    return work;
  }

  /** Lets `work` run by itself; its failure is logged under `message`. */
  detach(message: string, work: Promise<unknown>): void {
    this.track(work).catch((error: unknown) => this.#log.warn(message, { error }));
  }

  /** Resolves when all work has ended, or when the time is over. */
  async drain(timeoutMs: number): Promise<void> {
    const enough = new AbortController();
    const timeout = delay(timeoutMs, enough.signal).catch(() => undefined);
    await Promise.race([timeout, this.#allSettled()]);
    enough.abort();
  }

  async #allSettled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
