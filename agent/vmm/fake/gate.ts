/** What a guest's calls pass one by one; closed, it holds them, as a machine that is stopped does. */
export class Gate {
  #opened: Promise<void> = Promise.resolve();
  #open: (() => void) | undefined;

  get isClosed(): boolean {
    return this.#open !== undefined;
  }

  /** Holds whoever comes from now on. Idempotent. */
  close(): void {
    if (this.#open) return;
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  /** Lets all pass. Idempotent. */
  open(): void {
    this.#open?.();
    this.#open = undefined;
  }

  /** Resolves as soon as the gate is open. */
  async pass(): Promise<void> {
    // It may have been closed again before the one who waited is told.
    while (this.#open) await this.#opened;
  }
}
