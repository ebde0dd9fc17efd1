/** Slots that are built ahead, in the background, one after another. */
import { clearTimeout, setTimeout } from 'node:timers';
import type { Log } from '../../../lib/log/log.js';
import { throwRejected } from '../errors.js';
import type { NetworkSlot } from '../network.js';
import type { SlotBuilder } from './slot-builder.js';

/** Pause after a slot that could not be built ahead. */
export const POOL_RETRY_PAUSE_MS = 5_000;

export class SlotPool {
  readonly #builder: SlotBuilder;
  readonly #size: number;
  readonly #log: Log;
  readonly #closed = new AbortController();
  readonly #ready: NetworkSlot[] = [];
  #filling: Promise<void> | undefined;
  /** Whether `fill` was called while a fill was ending. */
  #fillAgain = false;
  #retry: NodeJS.Timeout | undefined;

  /** @param size slots to hold ready; 0 builds none ahead. */
  constructor(builder: SlotBuilder, size: number, log: Log) {
    this.#builder = builder;
    this.#size = size;
    this.#log = log;
  }

  get readyCount(): number {
    return this.#ready.length;
  }

  /** Builds what is missing; returns at once. */
  fill(): void {
    if (this.#closed.signal.aborted) return;
    this.#fillAgain = this.#filling !== undefined;
    if (this.#filling) return;
    clearTimeout(this.#retry);
    this.#filling = this.#fill().finally(() => {
      this.#filling = undefined;
      if (this.#fillAgain) this.fill();
    });
  }

  /** A slot that stands, if there is one. */
  take(): NetworkSlot | undefined {
    const slot = this.#ready.shift();
    if (slot) this.fill();
    return slot;
  }

  /** Resolves when nothing is being built any more. @returns whether anything was. */
  async settle(): Promise<boolean> {
    if (!this.#filling) return false;
    await this.#filling;
    return true;
  }

  /** Stops building and takes the ready slots down; throws an AggregateError of all failures. */
  async close(): Promise<void> {
    this.#closed.abort(new Error('the pool is closed'));
    clearTimeout(this.#retry);
    await this.#filling;
    const slots = this.#ready.splice(0);
    const outcomes = await Promise.allSettled(slots.map((slot) => this.#builder.release(slot)));
    throwRejected(outcomes, 'pool not taken down completely');
  }

  async #fill(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted && this.#ready.length < this.#size) {
      const slot = this.#builder.take();
      if (!slot) return;
      try {
        await this.#builder.build(slot, signal);
        this.#ready.push(slot);
      } catch (error) {
        await this.#discard(slot);
        if (signal.aborted) return;
        this.#log.warn('network slot not built ahead', { index: slot.index, error });
        this.#retry = setTimeout(() => this.fill(), POOL_RETRY_PAUSE_MS).unref();
        return;
      }
    }
  }

  async #discard(slot: NetworkSlot): Promise<void> {
    try {
      await this.#builder.release(slot);
    } catch (error) {
      this.#builder.abandon(slot);
      this.#log.error('network slot not taken down', { index: slot.index, error });
    }
  }
}
