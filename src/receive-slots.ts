/**
 * How many requests are received at once, in all and from one caller. Others
 * wait in order: as long as a request is not read, it holds no more than the
 * flow-control window of its stream.
 */
import { Code, WrennError } from '../lib/errors/index.js';
import { Semaphore } from '../lib/lifecycle/semaphore.js';

export interface ReceiveLimits {
  /** Requests that are received at once. */
  slotsMax: number;
  /** The same from one caller. */
  slotsPerCallerMax: number;
  /** Requests that are received or wait. */
  pendingMax: number;
  /** The same from one caller. */
  pendingPerCallerMax: number;
}

interface Caller {
  turns: Semaphore;
  pending: number;
}

const RETRY_AFTER_SEC = 1;

export class ReceiveSlots {
  readonly #limits: ReceiveLimits;
  readonly #slots: Semaphore;
  readonly #callers = new Map<string, Caller>();
  #pending = 0;

  constructor(limits: ReceiveLimits) {
    this.#limits = limits;
    this.#slots = new Semaphore(limits.slotsMax);
  }

  /**
   * Runs `receive` when there is a slot and holds it until that ends.
   * @throws OVERLOADED at once, or the signal's reason while it waits.
   */
  async hold(name: string, receive: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const caller = this.#enter(name);
    try {
      await caller.turns.run(() => this.#slots.run(receive, signal), signal);
    } finally {
      this.#pending -= 1;
      caller.pending -= 1;
      if (caller.pending === 0) this.#callers.delete(name);
    }
  }

  #enter(name: string): Caller {
    const { pendingMax, pendingPerCallerMax, slotsPerCallerMax } = this.#limits;
    const caller = this.#callers.get(name) ?? {
      turns: new Semaphore(slotsPerCallerMax),
      pending: 0,
    };
    if (this.#pending >= pendingMax || caller.pending >= pendingPerCallerMax) throw overloaded();
    this.#callers.set(name, caller);
    this.#pending += 1;
    caller.pending += 1;
    return caller;
  }
}

function overloaded(): WrennError {
  return new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'OVERLOADED',
    'the server receives as many requests at once as it takes; try again',
    { retryAfterSec: RETRY_AFTER_SEC },
  );
}
