/**
 * A bounded number of places that sources share. While some are free a source
 * takes as many as its own bound allows; when none is free, one that has less
 * than its fair share gets a place of the source that has most.
 */
export interface PlaceLimits {
  /** Places of all sources together. */
  totalMax: number;
  /** Places of one source. */
  perSourceMax: number;
}

interface Place {
  /** Tells the holder that it has lost the place. */
  readonly onLost: () => void;
}

export class SharedPlaces {
  readonly #limits: PlaceLimits;
  /** The places that each source holds, oldest first; a source without any is not in it. */
  readonly #held = new Map<string, Set<Place>>();
  #total = 0;

  constructor(limits: PlaceLimits) {
    this.#limits = limits;
  }

  /**
   * Takes a place.
   * @param onLost called when another source gets it; it is no longer to be given back then.
   * @returns what to call to give it back, idempotent; undefined: there is none for this source.
   */
  take(source: string, onLost: () => void): (() => void) | undefined {
    const count = this.#held.get(source)?.size ?? 0;
    if (count >= this.#limits.perSourceMax) return undefined;
    if (this.#total >= this.#limits.totalMax && !this.#makeRoom(count)) return undefined;
    const place: Place = { onLost };
    const places = this.#held.get(source) ?? new Set();
    this.#held.set(source, places.add(place));
    this.#total += 1;
    return () => this.#free(source, place);
  }

  /** Frees the oldest place of the heaviest source when who asks has less than its fair share. */
  #makeRoom(count: number): boolean {
    const sources = this.#held.size + (count === 0 ? 1 : 0);
    // Rounded down, so that the heaviest source has at least two more and no two take in turns.
    const share = Math.floor(this.#limits.totalMax / sources);
    if (count >= share) return false;
    const [source, places] = this.#heaviest();
    const [oldest] = places;
    if (!oldest) return false;
    this.#free(source, oldest);
    oldest.onLost();
    return true;
  }

  #heaviest(): [string, ReadonlySet<Place>] {
    let heaviest: [string, ReadonlySet<Place>] = ['', new Set()];
    for (const each of this.#held) {
      if (each[1].size > heaviest[1].size) heaviest = each;
    }
    return heaviest;
  }

  #free(source: string, place: Place): void {
    const places = this.#held.get(source);
    if (!places?.delete(place)) return;
    this.#total -= 1;
    if (places.size === 0) this.#held.delete(source);
  }
}
