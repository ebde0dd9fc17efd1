/** How many streams are open, in all and for one team. */
import { Code, WrennError } from '../../lib/errors/index.js';

/** Open streams of one team. */
export const STREAMS_PER_TEAM_MAX = 2000;
/** Open streams of all teams. */
export const STREAMS_MAX = 10_000;

const RETRY_AFTER_SEC = 5;

export class StreamSlots {
  readonly #teams = new Map<string, number>();
  #open = 0;

  /**
   * Counts a stream until what is returned is called, once.
   * @throws STREAM_LIMIT
   */
  open(teamId: string): () => void {
    const ofTeam = this.#teams.get(teamId) ?? 0;
    if (ofTeam >= STREAMS_PER_TEAM_MAX) throw streamLimit('your team has', STREAMS_PER_TEAM_MAX);
    if (this.#open >= STREAMS_MAX) throw streamLimit('the server has', STREAMS_MAX);
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
  const message = `${who} ${limit} open streams already; end one`;
  return new WrennError(Code.RESOURCE_EXHAUSTED, 'STREAM_LIMIT', message, {
    metadata: { limit: String(limit) },
    retryAfterSec: RETRY_AFTER_SEC,
  });
}
