/**
 * What follows from an instance's id and address range: the names of
 * everything that it has on the host, and the address plan.
 *
 *     base + 1          the instance's own address: its DNS forwarder
 *     base + 2n         slot n, the host's end of the link   (n ≥ 1)
 *     base + 2n + 1     slot n, the guest as the host sees it
 *
 * Every guest has the same addresses inside, so that a snapshot can become a
 * guest in any slot.
 */
import { randomId } from '../../lib/ids/random-id.js';
import { formatIpv4, formatRange, type Ipv4Range, sizeOf } from './ipv4.js';
import type { NetworkSlot } from './network.js';

/** Link names have at most this many characters. */
const LINK_NAME_LENGTH_MAX = 15;
const INSTANCE_ID = /^[a-z0-9]{4,6}$/;
/** The smallest range that is worth having: seven slots. */
export const PREFIX_LENGTH_MAX = 28;
/** The largest, since a slot's user id keeps 24 bits of its address. */
export const PREFIX_LENGTH_MIN = 8;
/** Above all user ids that distributions, containers and systemd hand out. */
const UID_BASE = 1_073_741_824;
const LEASE_LENGTH = 16;

/** The link between a guest and its gateway, the same in every namespace. */
export const GUEST = {
  tapName: 'tap0',
  /** The namespace's end of the veth pair. */
  uplinkName: 'veth0',
  address: '169.254.0.21',
  gateway: '169.254.0.22',
  prefixLength: 30,
  mac: '02:57:52:4e:00:21',
  gatewayMac: '02:57:52:4e:00:22',
} as const;

export class InstanceLayout {
  readonly instanceId: string;
  readonly range: Ipv4Range;
  /** A bridge without ports: it claims the range and carries the instance's own address. */
  readonly bridgeName: string;
  /** All veth links on the host, as an nft wildcard. */
  readonly linkPattern: string;
  readonly tableName: string;
  /** Marks rules of ours in other programs' chains. */
  readonly ruleComment: string;
  readonly forwarderAddress: string;
  readonly slotCount: number;

  /** @throws Error for an id that does not fit into names. */
  constructor(instanceId: string, range: Ipv4Range) {
    if (!INSTANCE_ID.test(instanceId)) throw new Error(`not an instance id: ${instanceId}`);
    this.instanceId = instanceId;
    this.range = range;
    this.bridgeName = bridgeNameOf(instanceId);
    this.linkPattern = `${linkPrefixOf(instanceId)}*`;
    this.tableName = `wrenn_${instanceId}`;
    this.ruleComment = `wrenn-${instanceId}`;
    this.forwarderAddress = formatIpv4(range.base + 1);
    const nameable = 10 ** (LINK_NAME_LENGTH_MAX - linkPrefixOf(instanceId).length) - 1;
    this.slotCount = Math.min(sizeOf(range) / 2 - 1, nameable);
  }

  get rangeText(): string {
    return formatRange(this.range);
  }

  slotAt(index: number, lease = newLease()): NetworkSlot {
    const hostAddress = this.range.base + 2 * index;
    return {
      index,
      lease,
      namespace: `${namespacePrefixOf(this.instanceId)}${index}`,
      vethName: `${linkPrefixOf(this.instanceId)}${index}`,
      tapName: GUEST.tapName,
      hostIp: formatIpv4(hostAddress),
      guestIp: formatIpv4(hostAddress + 1),
      guestMac: GUEST.mac,
      guestAddress: `${GUEST.address}/${GUEST.prefixLength}`,
      gatewayAddress: GUEST.gateway,
      uid: UID_BASE + ((hostAddress + 1) & 0xffffff),
    };
  }

  /** Number of the slot that a namespace or link belongs to; undefined for a foreign name. */
  indexOf(name: string): number | undefined {
    for (const prefix of [namespacePrefixOf(this.instanceId), linkPrefixOf(this.instanceId)]) {
      const digits = name.startsWith(prefix) ? name.slice(prefix.length) : '';
      if (/^[1-9]\d{0,6}$/.test(digits)) return Number(digits);
    }
    return undefined;
  }
}

export function newLease(): string {
  return randomId(LEASE_LENGTH);
}

export function bridgeNameOf(instanceId: string): string {
  return `wb-${instanceId}`;
}

export function linkPrefixOf(instanceId: string): string {
  return `wv-${instanceId}-`;
}

function namespacePrefixOf(instanceId: string): string {
  return `wrenn-${instanceId}-`;
}
