/** What every call into a fake guest goes through: planned faults, and the standstill of its machine. */
import { Code, WrennError } from '../../../lib/errors/index.js';
import type { FaultPlan, FaultStep } from '../../../lib/faults/fault-plan.js';
import { Gate } from './gate.js';

export class FakeCalls {
  readonly #faults: FaultPlan;
  readonly #gate = new Gate();
  #streams = new AbortController();

  constructor(faults: FaultPlan) {
    this.#faults = faults;
  }

  /** Holds all calls, also those under way, until `thaw`. Idempotent. */
  freeze(): void {
    this.#gate.close();
  }

  /** Idempotent. */
  thaw(): void {
    this.#gate.open();
  }

  /** Whether the machine stands still. */
  get frozen(): boolean {
    return this.#gate.isClosed;
  }

  /** Resolves as soon as the machine runs. */
  pass(): Promise<void> {
    return this.#gate.pass();
  }

  /** The begin of a call: fails, waits or passes as planned. */
  async reach(step: FaultStep, signal: AbortSignal): Promise<void> {
    await this.#faults.reach(step, signal);
    await this.#gate.pass();
  }

  /**
   * Yields the events of a stream that lives as long as its connection.
   * @param open begins it; its signal aborts when the caller has gone or `breakStreams` is called.
   */
  async *follow<Event>(
    open: (ended: AbortSignal) => AsyncIterable<Event>,
    signal: AbortSignal,
  ): AsyncGenerator<Event, void, void> {
    for await (const event of open(AbortSignal.any([signal, this.#streams.signal]))) {
      await this.#gate.pass();
      yield event;
    }
  }

  /** Ends all streams there are, as the end of their connections does. */
  breakStreams(): void {
    this.#streams.abort(broken());
    this.#streams = new AbortController();
  }
}

function broken(): WrennError {
  return new WrennError(Code.UNAVAILABLE, 'GUEST_UNREACHABLE', 'the guest was restored');
}
