/**
 * How much the gateway holds at once. A request is counted from its arrival
 * until its answer has left, with the bytes of its body and then of its answer;
 * beyond a limit it is refused, so that callers nobody knows yet, and callers
 * who do not take their answers, cannot fill the memory. Streams last long and
 * hold little, so they are counted apart and keep no request out.
 */
import { Code, WrennError } from '../../lib/errors/index.js';

export interface AdmissionLimits {
  requestsMax: number;
  streamsMax: number;
  bufferedBodyBytesMax: number;
}

const RETRY_AFTER_SEC = 1;

/** Something of which there may be so many at once. */
class Count {
  readonly #max: number;
  #held = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Counts in, or out when the amount is negative; throws RESOURCE_EXHAUSTED beyond the limit. */
  add(amount: number): void {
    if (amount > 0 && this.#held + amount > this.#max) throw overloaded();
    this.#held += amount;
  }
}

interface Counts {
  requests: Count;
  streams: Count;
  bufferedBytes: Count;
}

export class Admission {
  readonly #counts: Counts;

  constructor({ requestsMax, streamsMax, bufferedBodyBytesMax }: AdmissionLimits) {
    this.#counts = {
      requests: new Count(requestsMax),
      streams: new Count(streamsMax),
      bufferedBytes: new Count(bufferedBodyBytesMax),
    };
  }

  /** Counts a request in; throws RESOURCE_EXHAUSTED when there are too many. */
  admit(): AdmittedRequest {
    this.#counts.requests.add(1);
    return new AdmittedRequest(this.#counts);
  }
}

/** One request's share; it ends with `release`. */
export class AdmittedRequest {
  readonly #counts: Counts;
  /** Where it is counted itself; nowhere once it has been released. */
  #countedIn: Count | undefined;
  #heldBytes = 0;

  constructor(counts: Counts) {
    this.#counts = counts;
    this.#countedIn = counts.requests;
  }

  /** Counts bytes that are kept in memory; throws RESOURCE_EXHAUSTED when there are too many. */
  hold(bytes: number): void {
    this.holdInstead(this.#heldBytes + bytes);
  }

  /** Counts these bytes in place of what was held before; throws as `hold` does. */
  holdInstead(bytes: number): void {
    // What still arrives for a client that has gone is dropped at once.
    if (!this.#countedIn) return;
    this.#counts.bufferedBytes.add(bytes - this.#heldBytes);
    this.#heldBytes = bytes;
  }

  /** Counts it as a stream from now on, which keeps no bytes; throws when there are too many. */
  becomeStream(): void {
    if (!this.#countedIn) return;
    const { streams } = this.#counts;
    streams.add(1);
    this.#countedIn.add(-1);
    this.#countedIn = streams;
    this.holdInstead(0);
  }

  release(): void {
    this.holdInstead(0);
    this.#countedIn?.add(-1);
    this.#countedIn = undefined;
  }
}

function overloaded(): WrennError {
  return new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'OVERLOADED',
    'the server has as much work at once as it takes; try again',
    { retryAfterSec: RETRY_AFTER_SEC },
  );
}
