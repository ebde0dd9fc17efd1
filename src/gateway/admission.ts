/**
 * How much the gateway holds at once. Requests and the bytes of their bodies
 * are counted from arrival to answer; beyond a limit a request is refused, so
 * that callers nobody knows yet cannot fill the memory.
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
      (bytes) => {
        if (this.#bufferedBytes + bytes > this.#limits.bufferedBodyBytesMax) throw overloaded();
        this.#bufferedBytes += bytes;
      },
      (bytes) => {
        this.#requests -= 1;
        this.#bufferedBytes -= bytes;
      },
    );
  }
}

/** One request's share; it ends with `release`. */
export class AdmittedRequest {
  readonly #hold: (bytes: number) => void;
  readonly #release: (bytes: number) => void;
  #heldBytes = 0;
  #released = false;

  constructor(hold: (bytes: number) => void, release: (bytes: number) => void) {
    this.#hold = hold;
    this.#release = release;
  }

  /** Counts bytes that are kept in memory; throws RESOURCE_EXHAUSTED when there are too many. */
  hold(bytes: number): void {
    this.#hold(bytes);
    this.#heldBytes += bytes;
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#release(this.#heldBytes);
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
