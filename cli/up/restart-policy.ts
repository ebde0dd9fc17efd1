/** When a daemon that ended is started again: soon, then later and later, and not for ever. */

export interface RestartLimits {
  /** Pause after the first end; it doubles with each further one inside the window. */
  pauseMs: number;
  pauseMsMax: number;
  /** Ends inside the window after which it is given up. */
  endsMax: number;
  windowMs: number;
}

export const RESTART_LIMITS: RestartLimits = {
  pauseMs: 250,
  pauseMsMax: 10_000,
  endsMax: 8,
  windowMs: 5 * 60_000,
};

/** A daemon that has never been ready most likely lacks something that a restart does not bring. */
export const FIRST_START_LIMITS: RestartLimits = { ...RESTART_LIMITS, endsMax: 2 };

export class RestartPolicy {
  #limits: RestartLimits;
  #endedAtMs: number[] = [];

  constructor(limits: RestartLimits) {
    this.#limits = limits;
  }

  /** Other limits from now on, with a clean record. */
  reset(limits: RestartLimits): void {
    this.#limits = limits;
    this.#endedAtMs = [];
  }

  /**
   * Records an end.
   * @returns how long to wait before the next start, or undefined to give up.
   */
  ended(nowMs: number): number | undefined {
    const { pauseMs, pauseMsMax, endsMax, windowMs } = this.#limits;
    this.#endedAtMs = [...this.#endedAtMs.filter((at) => nowMs - at < windowMs), nowMs];
    const ends = this.#endedAtMs.length;
    return ends >= endsMax ? undefined : Math.min(pauseMs * 2 ** (ends - 1), pauseMsMax);
  }
}
