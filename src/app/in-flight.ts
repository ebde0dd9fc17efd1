/** Sandboxes on which this process is working; the reconciler leaves them alone. */
export class InFlight {
  readonly #holders = new Map<string, number>();

  has(sandboxId: string): boolean {
    return this.#holders.has(sandboxId);
  }

  /** Marks a sandbox while `work` runs. Several may work on it at once. */
  async hold<T>(sandboxId: string, work: () => Promise<T>): Promise<T> {
    this.#holders.set(sandboxId, (this.#holders.get(sandboxId) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = (this.#holders.get(sandboxId) ?? 1) - 1;
      if (left > 0) this.#holders.set(sandboxId, left);
      else this.#holders.delete(sandboxId);
    }
  }
}
