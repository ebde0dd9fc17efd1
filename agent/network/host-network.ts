/**
 * The network of an instance: slots out of the pool or built on demand, the
 * instance-wide rules, and the DNS forwarder.
 *
 * Process launches: building a slot takes three, handing out one that stands
 * none, taking one down one, checking an adopted one two.
 */
import { isDeepStrictEqual } from 'node:util';
import { Rollback } from '../../lib/lifecycle/rollback.js';
import type { Log } from '../../lib/log/log.js';
import { hostCommands, type NetworkCommands } from './commands.js';
import { type DnsForwarder, startDnsForwarder } from './dns/forwarder.js';
import { RESOLV_CONF_PATH } from './dns/resolvers.js';
import { closed, exhausted, slotLost, throwRejected } from './errors.js';
import { setUpInstance, takeDownInstance } from './instance/instance-network.js';
import type { InstanceLayout } from './layout.js';
import type { Network, NetworkSlot } from './network.js';
import { SlotBuilder } from './slots/slot-builder.js';
import { SlotPool } from './slots/slot-pool.js';
import { SWEEP_WAIT_MS, startSweep } from './slots/sweep.js';

export interface NetworkOptions {
  /** Four to six lower-case letters and digits; stands in every name. */
  instanceId: string;
  /**
   * IPv4 range of the links to the guests, a /28 or larger. Undefined: the one
   * that this instance still has on the host, else a free one.
   */
  range?: string | undefined;
  /** Slots to build ahead; 0 builds each when it is asked for. */
  poolSize: number;
  log: Log;
  /** Where the host's name servers stand. */
  resolvConfPath?: string;
  /** How the host is changed; tests make single commands fail. */
  commands?: NetworkCommands;
}

/**
 * Sets the instance's network up, or takes over the one of an earlier run.
 * The caller keeps `range` of the result and passes it the next time.
 * @throws WrennError HOST_REQUIREMENT when the range overlaps what the host
 *   uses, or the host lacks a program or kernel feature.
 */
export async function createNetwork(options: NetworkOptions): Promise<HostNetwork> {
  const { commands = hostCommands, resolvConfPath = RESOLV_CONF_PATH, log } = options;
  const { instanceId, range } = options;
  const layout = await setUpInstance(commands, { instanceId, range, resolvConfPath }, log);
  try {
    const address = layout.forwarderAddress;
    const forwarder = await startDnsForwarder({ address, resolvConfPath, log });
    return new HostNetwork(commands, layout, forwarder, options.poolSize, log);
  } catch (error) {
    await takeDownInstance(commands, layout);
    throw error;
  }
}

export class HostNetwork implements Network {
  readonly #commands: NetworkCommands;
  readonly #layout: InstanceLayout;
  readonly #forwarder: DnsForwarder;
  readonly #builder: SlotBuilder;
  readonly #pool: SlotPool;
  readonly #log: Log;
  readonly #closed = new AbortController();
  #sweeping: Promise<void> = Promise.resolve();

  constructor(
    commands: NetworkCommands,
    layout: InstanceLayout,
    forwarder: DnsForwarder,
    poolSize: number,
    log: Log,
  ) {
    this.#commands = commands;
    this.#layout = layout;
    this.#forwarder = forwarder;
    this.#builder = new SlotBuilder(commands, layout);
    this.#pool = new SlotPool(this.#builder, poolSize, log);
    this.#log = log;
    this.#pool.fill();
  }

  /** Address range in use, such as 10.193.64.0/18; to be kept across restarts. */
  get range(): string {
    return this.#layout.rangeText;
  }

  /** Slots that stand and wait to be handed out. */
  get readyCount(): number {
    return this.#pool.readyCount;
  }

  async acquire(
    recordBefore: (slot: NetworkSlot) => Promise<void>,
    signal: AbortSignal,
  ): Promise<NetworkSlot> {
    if (this.#closed.signal.aborted) throw closed();
    signal.throwIfAborted();
    const { slot, stands } = await this.#take();
    await using rollback = new Rollback((step, error) => {
      this.#builder.abandon(slot);
      this.#log.error('undo failed', { step, index: slot.index, error });
    });
    rollback.defer('network slot', () => this.#builder.release(slot));

    await recordBefore(slot);
    signal.throwIfAborted();
    if (!stands) await this.#builder.build(slot, signal);
    signal.throwIfAborted();

    rollback.commit();
    return slot;
  }

  async release(slot: NetworkSlot): Promise<void> {
    if (!this.#owns(slot)) return;
    try {
      await this.#builder.release(slot);
    } catch (error) {
      throw error instanceof AggregateError ? error : new AggregateError([error]);
    }
    this.#pool.fill();
  }

  async adopt(slot: NetworkSlot): Promise<void> {
    if (!this.#owns(slot)) throw slotLost(new Error('the slot is of another instance'));
    if (!this.#builder.claim(slot))
      throw slotLost(new Error(`slot ${slot.index} has another holder`));
    const expected = this.#layout.slotAt(slot.index, slot.lease);
    if (!isDeepStrictEqual({ ...slot }, expected)) {
      throw slotLost(new Error(`slot ${slot.index} has not the addresses of ${this.range}`));
    }
    await this.#builder.check(slot);
  }

  /** Waits at most SWEEP_WAIT_MS; a longer sweep goes on behind the caller, and logs its end. */
  async sweep(held: readonly NetworkSlot[]): Promise<string[]> {
    for (const slot of held) {
      if (!this.#owns(slot) || this.#builder.claim(slot)) continue;
      this.#log.warn('network slot has another holder', { index: slot.index });
    }
    this.#builder.holdersAreKnown();
    const sweep = await startSweep(this.#builder, this.#layout, this.#log, this.#closed.signal);
    const before = this.#sweeping;
    this.#sweeping = before.then(() => sweep.done);
    if (!(await endsWithin(sweep.done, SWEEP_WAIT_MS))) {
      const { foundCount, removed } = sweep;
      this.#log.info('sweep of network slots goes on', { found: foundCount });
      void sweep.done.then(() =>
        this.#log.info('sweep of network slots ended', { removed: removed.length }),
      );
    }
    this.#pool.fill();
    return [...sweep.removed];
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#sweeping;
    const outcomes = [
      await Promise.allSettled([this.#pool.close()]),
      await Promise.allSettled([this.#forwarder.close()]),
      await Promise.allSettled([takeDownInstance(this.#commands, this.#layout)]),
    ].flat();
    throwRejected(outcomes, 'network not closed completely');
  }

  /** A record from before this instance got its id names slots that are not its to touch. */
  #owns(slot: NetworkSlot): boolean {
    const owns = this.#builder.owns(slot);
    if (!owns) this.#log.warn('network slot of another instance', { namespace: slot.namespace });
    return owns;
  }

  /** A slot that stands, or a number of which the slot is still to be built. */
  async #take(): Promise<{ slot: NetworkSlot; stands: boolean }> {
    for (;;) {
      const ready = this.#pool.take();
      if (ready) return { slot: ready, stands: true };
      const planned = this.#builder.take();
      if (planned) return { slot: planned, stands: false };
      // The last number may be on its way into the pool, or out of it after a failure.
      if (!(await this.#pool.settle())) throw exhausted(this.#layout.slotCount);
    }
  }
}

async function endsWithin(work: Promise<void>, limitMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  try {
    return await Promise.race([work.then(() => true), expired]);
  } finally {
    clearTimeout(timer);
  }
}
