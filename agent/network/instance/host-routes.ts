/** What of the IPv4 address space the host uses already. */
import type { NetworkCommands } from '../commands.js';
import { type Ipv4Range, parseRange } from '../ipv4.js';

export interface UsedRange {
  range: Ipv4Range;
  /** The link that it leads to, if any. */
  device: string | undefined;
  /** For the operator, such as `the route 10.0.0.0/8 dev eth0`. */
  description: string;
}

/** Routes of this length or shorter are default routes, also when split in two. */
const DEFAULT_PREFIX_LENGTH_MAX = 1;

interface Route {
  dst: string;
  type?: string;
  dev?: string;
}

/** Ranges that routes, in all tables, lead to; the host's own addresses are among them. */
export async function readUsedRanges(commands: NetworkCommands): Promise<UsedRange[]> {
  const routes = await commands.ipQuery(['-4', 'route', 'show', 'table', 'all']);
  return (routes as Route[]).flatMap(({ dst, type, dev }) => {
    const range = parseRange(dst);
    if (!range || range.prefixLength <= DEFAULT_PREFIX_LENGTH_MAX) return [];
    const description = ['the route', type, dst, dev && `dev ${dev}`].filter(Boolean).join(' ');
    return [{ range, device: dev, description }];
  });
}
