/** A number that only grows, and a way to wait for it: watchers miss nothing and queue nothing. */
export class ChangeCounter {
  #count = 0;
  readonly #waiting = new Set<() => void>();

  get count(): number {
    return this.#count;
  }

  /** Says that something changed. */
  bump(): void {
    this.#count += 1;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /**
   * Resolves with the count as soon as it is above `seen`.
   * @throws the signal's reason when it aborts first.
   */
  async after(seen: number, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    while (this.#count <= seen) await this.#changed(signal);
    return this.#count;
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.delete(wake);
        reject(signal.reason);
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}
