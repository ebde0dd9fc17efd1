/** IPv4 addresses as unsigned 32-bit numbers, and ranges of them. */
import { isIPv4 } from 'node:net';

/** An address block; the bits of `base` below the prefix are zero. */
export interface Ipv4Range {
  base: number;
  prefixLength: number;
}

export function parseIpv4(text: string): number | undefined {
  if (!isIPv4(text)) return undefined;
  return text.split('.').reduce((address, octet) => address * 256 + Number(octet), 0);
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** Reads `a.b.c.d/n`, or a single address as a range of one; undefined when it is neither. */
export function parseRange(text: string): Ipv4Range | undefined {
  const [addressText = '', prefixText = '32', ...rest] = text.split('/');
  const base = parseIpv4(addressText);
  const prefixLength = Number(prefixText);
  if (base === undefined || rest.length > 0) return undefined;
  if (!/^\d{1,2}$/.test(prefixText) || prefixLength > 32) return undefined;
  const range = { base, prefixLength };
  return base % sizeOf(range) === 0 ? range : undefined;
}

export function formatRange(range: Ipv4Range): string {
  return `${formatIpv4(range.base)}/${range.prefixLength}`;
}

/** How many addresses a range has. */
export function sizeOf(range: Ipv4Range): number {
  return 2 ** (32 - range.prefixLength);
}

export function rangesOverlap(a: Ipv4Range, b: Ipv4Range): boolean {
  return a.base < b.base + sizeOf(b) && b.base < a.base + sizeOf(a);
}
