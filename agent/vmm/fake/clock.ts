/** The time of a fake guest: it stands while the machine does, and a snapshot keeps it. */
export class GuestClock {
  #ranMs = 0;
  #runningSince: number | undefined = performance.now();

  /** Milliseconds that the guest has run. */
  get nowMs(): number {
    if (this.#runningSince === undefined) return this.#ranMs;
    return this.#ranMs + performance.now() - this.#runningSince;
  }

  /** Makes it show another time. */
  set(nowMs: number): void {
    this.#ranMs = nowMs;
    if (this.#runningSince !== undefined) this.#runningSince = performance.now();
  }

  /** Idempotent. */
  stop(): void {
    this.#ranMs = this.nowMs;
    this.#runningSince = undefined;
  }

  /** Idempotent. */
  start(): void {
    this.#runningSince ??= performance.now();
  }
}
