/**
 * The address of the client whom a call serves, for limits per address. The
 * public server sees it itself. The internal one, which only the gateway can
 * reach, is told by metadata; the public one ignores that.
 */
import type { CallContext } from '../lib/rpc/call-context.js';

/** Metadata in which the gateway names the address of its HTTP client. */
export const CLIENT_ADDRESS_KEY = 'x-wrenn-client-address';

export type ClientAddressOf = (context: CallContext<unknown>) => string;

/** For a server that clients reach directly. */
export function addressOfPeer({ peer }: Pick<CallContext<unknown>, 'peer'>): string {
  return peer.replace(/:\d+$/, '');
}

/** For a server that only the gateway reaches. */
export function addressFromGateway({ metadata }: CallContext<unknown>): string {
  return metadata.get(CLIENT_ADDRESS_KEY)[0]?.toString() ?? 'unknown';
}
