/** Sandboxes and snapshots on which this process is working; the reconciler leaves them alone. */
export class InFlight {
  readonly #holders = new Map<string, number>();

  has(id: string): boolean {
    return this.#holders.has(id);
  }

  /** Marks one while `work` runs. Several may work on it at once. */
  hold<T>(id: string, work: () => Promise<T>): Promise<T> {
    return this.holdAll([id], work);
  }

  /** Marks all of them while `work` runs. */
  async holdAll<T>(ids: readonly string[], work: () => Promise<T>): Promise<T> {
    for (const id of ids) this.#holders.set(id, (this.#holders.get(id) ?? 0) + 1);
    try {
      return await work();
    } finally {
      for (const id of ids) this.#release(id);
    }
  }

  #release(id: string): void {
    const left = (this.#holders.get(id) ?? 1) - 1;
    if (left > 0) this.#holders.set(id, left);
    else this.#holders.delete(id);
  }
}
