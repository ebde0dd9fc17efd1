/**
 * Which pages may open a WebSocket. A browser lets any page do so and tells in
 * `origin` which one it is; other clients send no such header.
 */
import type { IncomingMessage } from 'node:http';
import { Code, WrennError } from '../../../lib/errors/index.js';

const WEB_ORIGIN = /^https?:\/\/[^/?#@]+$/;

/**
 * Lets through the gateway's own pages and those of the given origins.
 * @throws PERMISSION_DENIED with ORIGIN_NOT_ALLOWED for another.
 */
export function checkOrigin(
  { headersDistinct }: IncomingMessage,
  allowedOrigins: readonly string[],
): void {
  const { origin: origins, host: hosts } = headersDistinct;
  if (origins === undefined) return;
  const [origin = ''] = origins;
  if (origins.length === 1 && allowedOrigins.includes(origin)) return;
  if (origins.length === 1 && hosts?.length === 1 && isOwn(origin, hosts[0] ?? '')) return;
  throw new WrennError(
    Code.PERMISSION_DENIED,
    'ORIGIN_NOT_ALLOWED',
    'pages of this origin may not open a WebSocket here',
  );
}

/**
 * The scheme may be either: a proxy that ends TLS in front of the gateway passes
 * the name on, not the scheme.
 */
function isOwn(origin: string, host: string): boolean {
  if (!WEB_ORIGIN.test(origin)) return false;
  const { protocol, host: wanted } = parse(origin) ?? {};
  return wanted !== undefined && parse(`${protocol}//${host}`)?.host === wanted;
}

function parse(url: string): URL | undefined {
  return URL.canParse(url) ? new URL(url) : undefined;
}
