/** The part of an address that stands for one client: all of IPv4, the first half of IPv6. */
import { isIPv6 } from 'node:net';

/** Groups of an IPv6 address, and how many of them a network is given at least. */
const GROUPS = 8;
const NETWORK_GROUPS = 4;
const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** Whoever has one IPv6 address has 2^64 of them, so that a limit counts their network. */
export function addressPrefix(address: string): string {
  const mapped = MAPPED_IPV4.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [start = [], end = []] = address.split('::').map((part) => part.split(':').filter(Boolean));
  const zeros = new Array<string>(GROUPS - start.length - end.length).fill('0');
  const groups = [...start, ...zeros, ...end].slice(0, NETWORK_GROUPS);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
