/**
 * How much the gateway holds at once. A request is counted from its arrival
 * until its answer has left, with the bytes of its body and then of its answer;
 * beyond a limit it is refused, so that callers nobody knows yet, and callers
 * who do not take their answers, cannot fill the memory.
 */
import { Code, WrennError } from '../../lib/errors/index.js';

export interface AdmissionLimits {
  requestsMax: number;
  bufferedBodyBytesMax: number;
}

const RETRY_AFTER_SEC = 1;

export class Admission {
  readonly #limits: AdmissionLimits;
  #requests = 0;
  #bufferedBytes = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** Counts a request in; throws RESOURCE_EXHAUSTED when there are too many. */
  admit(): AdmittedRequest {
    if (this.#requests >= this.#limits.requestsMax) throw overloaded();
    this.#requests += 1;
    return new AdmittedRequest(
      (bytes) => this.#hold(bytes),
      () => {
        this.#requests -= 1;
      },
    );
  }

  /** Counts bytes in, or out when there are fewer than before. */
  #hold(bytes: number): void {
    const held = this.#bufferedBytes + bytes;
    if (bytes > 0 && held > this.#limits.bufferedBodyBytesMax) throw overloaded();
    this.#bufferedBytes = held;
  }
}

/** One request's share; it ends with `release`. */
export class AdmittedRequest {
  readonly #hold: (bytes: number) => void;
  readonly #leave: () => void;
  #heldBytes = 0;
  #released = false;

  constructor(hold: (bytes: number) => void, leave: () => void) {
    this.#hold = hold;
    this.#leave = leave;
  }

  /** Counts bytes that are kept in memory; throws RESOURCE_EXHAUSTED when there are too many. */
  hold(bytes: number): void {
    this.holdInstead(this.#heldBytes + bytes);
  }

  /** Counts these bytes in place of what was held before; throws as `hold` does. */
  holdInstead(bytes: number): void {
    // What still arrives for a client that has gone is dropped at once.
    if (this.#released) return;
    this.#hold(bytes - this.#heldBytes);
    this.#heldBytes = bytes;
  }

  release(): void {
    if (this.#released) return;
    this.holdInstead(0);
    this.#released = true;
    this.#leave();
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
