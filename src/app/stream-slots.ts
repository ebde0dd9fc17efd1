/** How many streams are open, in all and for one team. */
import { Code, WrennError } from '../../lib/errors/index.js';

/** So many at once. */
export interface StreamLimits {
  perTeamMax: number;
  /** Of all teams together. */
  max: number;
}

export const STREAM_LIMITS: StreamLimits = { perTeamMax: 2000, max: 10_000 };

/** Those among them that are uploads: one whose sandbox takes nothing holds some 2.5 MiB. */
export const UPLOAD_LIMITS: StreamLimits = { perTeamMax: 128, max: 512 };

const RETRY_AFTER_SEC = 5;

export class StreamSlots {
  readonly #limits: StreamLimits;
  readonly #teams = new Map<string, number>();
  #open = 0;

  constructor(limits: StreamLimits) {
    this.#limits = limits;
  }

  /**
   * Counts a stream until what is returned is called, once.
   * @throws STREAM_LIMIT
   */
  open(teamId: string): () => void {
    const ofTeam = this.#teams.get(teamId) ?? 0;
    const { perTeamMax, max } = this.#limits;
    if (ofTeam >= perTeamMax) throw streamLimit('your team has', perTeamMax);
    if (this.#open >= max) throw streamLimit('the server has', max);
    this.#teams.set(teamId, ofTeam + 1);
    this.#open += 1;
    return () => {
      this.#open -= 1;
      const left = (this.#teams.get(teamId) ?? 1) - 1;
      if (left === 0) this.#teams.delete(teamId);
      else this.#teams.set(teamId, left);
    };
  }
}

function streamLimit(who: string, limit: number): WrennError {
  const message = `${who} ${limit} such streams open already; end one`;
  return new WrennError(Code.RESOURCE_EXHAUSTED, 'STREAM_LIMIT', message, {
    metadata: { limit: String(limit) },
    retryAfterSec: RETRY_AFTER_SEC,
  });
}
