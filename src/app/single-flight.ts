/** Of several calls that want the same thing at the same time, one does it and all get its answer. */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Promise<T>>();

  /** The work that is under way for `key`. */
  get(key: string): Promise<T> | undefined {
    return this.#flights.get(key);
  }

  /** Joins the work that is under way for `key`, or starts it. */
  join(key: string, work: () => Promise<T>): Promise<T> {
    const flying = this.#flights.get(key);
    if (flying) return flying;
    const started = work().finally(() => this.#flights.delete(key));
    this.#flights.set(key, started);
    return started;
  }
}
