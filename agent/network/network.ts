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
  /**
   * Random, new each time the number is given out. It tells this holder of the
   * number from earlier and later ones, so that a late `release` hits nobody else.
   */
  lease: string;
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
  /**
   * Takes everything of a slot down and frees its number. Idempotent; does
   * nothing when the number has another holder by now, or when the slot is of
   * another instance.
   * @throws AggregateError of all failures; then the number stays taken.
   */
  release(slot: NetworkSlot): Promise<void>;
  /**
   * Marks the slot of a recovered sandbox as taken and checks that it stands.
   * @throws WrennError SANDBOX_LOST when it does not; it stays taken until `release`.
   */
  adopt(slot: NetworkSlot): Promise<void>;
  /**
   * Removes every namespace and link of this instance that no held slot
   * needs, and takes the held ones' numbers. Touches nothing of another
   * instance. Until the first call nothing says whose an existing namespace
   * is, and `acquire` leaves its number alone.
   * @returns what was removed, one line each, for the log.
   */
  sweep(held: readonly NetworkSlot[]): Promise<string[]>;
  /**
   * Takes the pool and the DNS forwarder down. Slots in use stay, and so do the
   * rules that confine them; without any, those go too.
   */
  close(): Promise<void>;
}
