/** Network slots that are only numbers, for hosts whose machines are fakes. */
import { Code, WrennError } from '../../../lib/errors/index.js';
import { FaultPlan } from '../../../lib/faults/fault-plan.js';
import { randomId } from '../../../lib/ids/random-id.js';
import type { Network, NetworkSlot } from '../network.js';

/** Slots when the caller does not say. */
const SLOTS_MAX = 4096;
const FIRST_UID = 200_000;

export interface FakeNetworkOptions {
  faults?: FaultPlan;
  slotsMax?: number;
}

export interface FakeNetwork extends Network {
  readonly faults: FaultPlan;
  /** Numbers of the slots in use; empty when nothing has leaked. */
  held(): number[];
}

export function createFakeNetwork(options: FakeNetworkOptions = {}): FakeNetwork {
  const { faults = new FaultPlan(), slotsMax = SLOTS_MAX } = options;
  /** Number to lease of its holder. */
  const taken = new Map<number, string>();
  return {
    faults,

    async acquire(recordBefore, signal) {
      await faults.reach('network.acquire', signal);
      const slot = slotOf(lowestFree(taken, slotsMax), randomId());
      taken.set(slot.index, slot.lease);
      try {
        await recordBefore(slot);
        await faults.reach('network.acquire.recorded', signal);
        return slot;
      } catch (error) {
        taken.delete(slot.index);
        throw error;
      }
    },

    async release({ index, lease }) {
      await faults.reach('network.release');
      if (taken.get(index) === lease) taken.delete(index);
    },

    async adopt({ index, lease }) {
      taken.set(index, lease);
      await faults.reach('network.adopt');
    },

    async sweep(held) {
      await faults.reach('network.sweep');
      const kept = new Set(held.map(({ index }) => index));
      const stray = [...taken.keys()].filter((index) => !kept.has(index));
      for (const { index, lease } of held) taken.set(index, lease);
      for (const index of stray) taken.delete(index);
      return stray.map((index) => `fake network slot ${index}`);
    },

    close: async () => undefined,
    held: () => [...taken.keys()],
  };
}

function lowestFree(taken: ReadonlyMap<number, string>, slotsMax: number): number {
  for (let index = 1; index <= slotsMax; index += 1) {
    if (!taken.has(index)) return index;
  }
  throw new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'NETWORK_EXHAUSTED',
    'all network slots are taken',
    {
      metadata: { slots_max: String(slotsMax) },
    },
  );
}

function slotOf(index: number, lease: string): NetworkSlot {
  const link = index * 2;
  return {
    index,
    lease,
    namespace: `wrenn-fake-${index}`,
    vethName: `wrfake${index}`,
    tapName: 'tap0',
    hostIp: `10.192.${link >> 8}.${link & 255}`,
    guestIp: `10.192.${link >> 8}.${(link & 255) + 1}`,
    guestMac: '02:00:00:00:00:01',
    guestAddress: '169.254.0.21/30',
    gatewayAddress: '169.254.0.22',
    uid: FIRST_UID + index,
  };
}
