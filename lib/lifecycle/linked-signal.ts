/**
 * A signal that aborts as soon as one of several does, until it is let go of. AbortSignal.any is
 * for signals that are short-lived: a long-lived one keeps a trace of each that was ever made of it.
 *
 *     using linked = new LinkedSignal(ofCall, ofDaemon);
 *     await work(linked.signal);
 */
import { setMaxListeners } from 'node:events';

export class LinkedSignal implements Disposable {
  readonly #controller = new AbortController();
  readonly #sources: readonly AbortSignal[];

  constructor(...sources: readonly AbortSignal[]) {
    this.#sources = sources;
    const aborted = sources.find((source) => source.aborted);
    if (aborted) {
      this.#controller.abort(aborted.reason);
      return;
    }
    // A long-lived one is in as many as there are calls, which is no leak.
    setMaxListeners(0, ...sources);
    for (const source of sources) source.addEventListener('abort', this, { once: true });
  }

  /** Has the reason of the source that has aborted. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Lets go: what the sources do from now on has no effect. */
  [Symbol.dispose](): void {
    for (const source of this.#sources) source.removeEventListener('abort', this);
  }

  /** As a listener of the sources. */
  handleEvent({ target }: Event): void {
    this[Symbol.dispose]();
    this.#controller.abort((target as AbortSignal).reason);
  }
}
