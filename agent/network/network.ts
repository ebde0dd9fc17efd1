/**
 * What the sandbox layer asks of the host's network.
 *
 * Terms
 *   slot       a number n of this instance; from it follow the namespace, the
 *              veth pair, the addresses and the uid of the VMM
 *   host link  10.a.b.c/31 pair: `hostIp` on the host, `guestIp` in the
 *              namespace, translated there to the guest's own address, which
 *              is the same in every guest
 */
export interface NetworkSlot {
  index: number;
  /** Network namespace, `wrenn-<instance>-<index>`. */
  namespace: string;
  /** Host end of the veth pair. */
  vethName: string;
  tapName: string;
  /** Address of the host's end of the link. */
  hostIp: string;
  /** Address by which the host reaches the guest. */
  guestIp: string;
  guestMac: string;
  /** Address with prefix length inside the guest. */
  guestAddress: string;
  gatewayAddress: string;
  /** User and group for the VMM of this slot, unique on the host. */
  uid: number;
}

export interface Network {
  /**
   * Takes a slot, from the pool if one is ready.
   * @param recordBefore must be durable when it resolves; called before
   *   anything of the slot is built or handed over.
   * @throws WrennError NETWORK_EXHAUSTED when all slots are taken.
   */
  acquire(
    recordBefore: (slot: NetworkSlot) => Promise<void>,
    signal: AbortSignal,
  ): Promise<NetworkSlot>;
  /** Takes everything of a slot down and frees its number. Idempotent; throws an AggregateError of all failures. */
  release(slot: NetworkSlot): Promise<void>;
  /** Marks the slot of a recovered sandbox as taken and checks that it stands. */
  adopt(slot: NetworkSlot): Promise<void>;
  /**
   * Removes every namespace, link and rule of this instance that no held slot
   * needs. Touches nothing of another instance.
   * @returns what was removed, one line each, for the log.
   */
  sweep(held: readonly NetworkSlot[]): Promise<string[]>;
  /** Takes the instance-wide parts down (pool, forwarder, rules); slots in use stay. */
  close(): Promise<void>;
}
