/**
 * How much the forwarder works on at once and for whom, so that no guest takes
 * the agent's time or the other guests' share.
 */
import { SharedPlaces } from './shared-places.js';

export interface AdmissionLimits {
  /** Questions under way, of all sources together. */
  pendingMax: number;
  /** Questions under way of one source. */
  pendingPerSourceMax: number;
  /** Questions a second of one source, over time. */
  ratePerSource: number;
  /** Questions that one source may ask at once after a pause. */
  burstPerSource: number;
}

export const ADMISSION_LIMITS: AdmissionLimits = {
  pendingMax: 512,
  pendingPerSourceMax: 64,
  ratePerSource: 100,
  burstPerSource: 200,
};

/** Sources that are remembered; idle ones go first when there are more. */
const SOURCES_MAX = 16_384;

interface Source {
  /** Questions that it may ask right now. */
  allowance: number;
  countedAtMs: number;
}

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #sources = new Map<string, Source>();
  readonly #pending: SharedPlaces;

  constructor(limits: AdmissionLimits = ADMISSION_LIMITS) {
    this.#limits = limits;
    const { pendingMax, pendingPerSourceMax } = limits;
    this.#pending = new SharedPlaces({ totalMax: pendingMax, perSourceMax: pendingPerSourceMax });
  }

  /**
   * Counts a question in.
   * @param onDropped called when the question must make room for one of another source.
   * @returns what to call when it is answered; undefined: refuse it.
   */
  enter(
    address: string,
    onDropped: () => void,
    nowMs = performance.now(),
  ): (() => void) | undefined {
    const source = this.#source(address, nowMs);
    if (!source || source.allowance < 1) return undefined;
    const leave = this.#pending.take(address, onDropped);
    if (leave) source.allowance -= 1;
    return leave;
  }

  #source(address: string, nowMs: number): Source | undefined {
    const { burstPerSource, ratePerSource } = this.#limits;
    const known = this.#sources.get(address);
    if (known) {
      const earned = ((nowMs - known.countedAtMs) / 1000) * ratePerSource;
      known.allowance = Math.min(burstPerSource, known.allowance + earned);
      known.countedAtMs = nowMs;
      return known;
    }
    if (this.#sources.size >= SOURCES_MAX && !this.#forgetIdle(nowMs)) return undefined;
    const source = { allowance: burstPerSource, countedAtMs: nowMs };
    this.#sources.set(address, source);
    return source;
  }

  /** Forgets sources whose allowance is full again. @returns whether there were any. */
  #forgetIdle(nowMs: number): boolean {
    const refillMs = (this.#limits.burstPerSource / this.#limits.ratePerSource) * 1000;
    const before = this.#sources.size;
    for (const [address, { countedAtMs }] of this.#sources) {
      if (nowMs - countedAtMs > refillMs) this.#sources.delete(address);
    }
    return this.#sources.size < before;
  }
}
