/** How an address of the configuration is written, and how it is reached. */
import type { HostPort } from '../lib/config/environment.js';

/** `host:port`, with brackets around an IPv6 address. */
export function formatAddress({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The address by which this machine reaches a server that listens on `address`. */
export function reachableAddress({ host, port }: HostPort): string {
  const isAny = host === '0.0.0.0' || host === '::';
  return formatAddress({ host: isAny ? '127.0.0.1' : host, port });
}
