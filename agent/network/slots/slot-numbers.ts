/**
 * Which slot numbers are taken, and by whom. Fresh numbers are given out in
 * ascending order; freed ones go to the back of a queue, so that a number rests
 * as long as the range allows before it is used again.
 */
export class SlotNumbers {
  readonly #count: number;
  readonly #leases = new Map<number, string>();
  #freed: number[] = [];
  #fresh = 1;

  /** @param count numbers run from 1 to this. */
  constructor(count: number) {
    this.#count = count;
  }

  get takenCount(): number {
    return this.#leases.size;
  }

  /** Lease of the number's holder, if it has one. */
  leaseOf(index: number): string | undefined {
    return this.#leases.get(index);
  }

  /** Takes a number that is free and usable; undefined when there is none. */
  take(lease: string, usable: (index: number) => boolean): number | undefined {
    while (this.#fresh <= this.#count) {
      const index = this.#fresh++;
      if (this.#leases.has(index)) continue;
      if (usable(index)) return this.#hold(index, lease);
      this.#freed.push(index);
    }
    const place = this.#freed.findIndex(usable);
    const [index] = place < 0 ? [] : this.#freed.splice(place, 1);
    return index === undefined ? undefined : this.#hold(index, lease);
  }

  /** Takes this very number; false when another lease holds it. */
  claim(index: number, lease: string): boolean {
    const holder = this.#leases.get(index);
    if (holder !== undefined) return holder === lease;
    this.#freed = this.#freed.filter((freed) => freed !== index);
    this.#hold(index, lease);
    return true;
  }

  /** Gives a number back; nothing happens when this lease does not hold it. */
  free(index: number, lease: string): void {
    if (this.#leases.get(index) !== lease) return;
    this.#leases.delete(index);
    if (index < this.#fresh && index <= this.#count) this.#freed.push(index);
  }

  #hold(index: number, lease: string): number {
    this.#leases.set(index, lease);
    return index;
  }
}
