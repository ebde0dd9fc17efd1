/**
 * Slots with their numbers: takes a number and builds its slot, or takes a slot
 * down and frees the number. Work on one number never overlaps.
 */
import { KeyedLock } from '../../../lib/lifecycle/keyed-lock.js';
import type { NetworkCommands } from '../commands.js';
import { type InstanceLayout, newLease } from '../layout.js';
import type { NetworkSlot } from '../network.js';
import { buildSlot, checkSlot, remainsOf, removeSlot } from './slot-host.js';
import { SlotNumbers } from './slot-numbers.js';

export class SlotBuilder {
  readonly #commands: NetworkCommands;
  readonly #layout: InstanceLayout;
  readonly #numbers: SlotNumbers;
  readonly #lock = new KeyedLock();
  #holdersKnown = false;

  constructor(commands: NetworkCommands, layout: InstanceLayout) {
    this.#commands = commands;
    this.#layout = layout;
    this.#numbers = new SlotNumbers(layout.slotCount);
  }

  get takenCount(): number {
    return this.#numbers.takenCount;
  }

  /** Whether a slot has the names of this instance; only then it may be passed to the other methods. */
  owns({ index, namespace, vethName }: NetworkSlot): boolean {
    const own = this.#layout.slotAt(index);
    return namespace === own.namespace && vethName === own.vethName;
  }

  isTaken(index: number): boolean {
    return this.#numbers.leaseOf(index) !== undefined;
  }

  /**
   * Takes a number; undefined when all are taken. As long as it is not known
   * who holds what is on the host, numbers with anything there are left alone.
   */
  take(): NetworkSlot | undefined {
    const lease = newLease();
    const usable = (index: number) =>
      this.#holdersKnown || remainsOf(this.#layout.slotAt(index)).length === 0;
    const index = this.#numbers.take(lease, usable);
    return index === undefined ? undefined : this.#layout.slotAt(index, lease);
  }

  /** Builds a slot whose number is taken; what a crash left under its name goes first. */
  async build(slot: NetworkSlot, signal?: AbortSignal): Promise<void> {
    await this.#lock.run(String(slot.index), async () => {
      signal?.throwIfAborted();
      await removeSlot(this.#commands, slot);
      await buildSlot(this.#commands, this.#layout, slot, signal);
    });
  }

  /** Takes the slot down and frees its number, in that order; the number stays taken on failure. */
  async release(slot: NetworkSlot): Promise<void> {
    const { index, lease } = slot;
    if (!this.#numbers.claim(index, lease)) return;
    await this.#lock.run(String(index), async () => {
      if (this.#numbers.leaseOf(index) !== lease) return;
      await removeSlot(this.#commands, slot);
      this.#numbers.free(index, lease);
    });
  }

  /** Frees the number of a slot that nobody got. What is left under its name goes at its next use. */
  abandon({ index, lease }: NetworkSlot): void {
    this.#numbers.free(index, lease);
  }

  /** Takes the number of a slot from an earlier run; false when another lease holds it. */
  claim({ index, lease }: NetworkSlot): boolean {
    return this.#numbers.claim(index, lease);
  }

  /** @throws WrennError SANDBOX_LOST when the slot does not stand. */
  async check(slot: NetworkSlot): Promise<void> {
    await this.#lock.run(String(slot.index), () => checkSlot(this.#commands, slot));
  }

  /** From now on what is on the host under a number that is not taken is nobody's. */
  holdersAreKnown(): void {
    this.#holdersKnown = true;
  }

  /** Removes what is on the host under a number that nobody holds; false when somebody does. */
  async removeLeaked(index: number): Promise<boolean> {
    return this.#lock.run(String(index), async () => {
      if (this.isTaken(index)) return false;
      await removeSlot(this.#commands, this.#layout.slotAt(index));
      return true;
    });
  }
}
