/**
 * Remembers which sandboxes were destroyed, so that a create command that was
 * held up on its way cannot bring one back: delete is final.
 */
export const TOMBSTONES_MAX = 10_000;

export class Tombstones {
  readonly #generations = new Map<string, number>();

  /** Remembers the newest generation with which a sandbox was destroyed. The oldest memory goes first. */
  add(sandboxId: string, generation: number): void {
    const known = this.#generations.get(sandboxId) ?? 0;
    this.#generations.delete(sandboxId);
    this.#generations.set(sandboxId, Math.max(known, generation));
    if (this.#generations.size <= TOMBSTONES_MAX) return;
    const [oldest] = this.#generations.keys();
    if (oldest !== undefined) this.#generations.delete(oldest);
  }

  generation(sandboxId: string): number | undefined {
    return this.#generations.get(sandboxId);
  }
}
