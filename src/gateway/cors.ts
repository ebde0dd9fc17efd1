/**
 * CORS: which pages of other origins may read the answers. Origins are listed
 * one by one. No credentials of the browser's own are ever allowed, as none is
 * ever read: a caller names its key or token in a header.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { FORWARDED, TIMEOUT_HEADERS } from './request-headers.js';

const PREFLIGHT_MAX_AGE_SEC = 600;
const REQUEST_HEADERS = [...FORWARDED, 'x-request-id', ...TIMEOUT_HEADERS, 'content-type'];
const EXPOSED_HEADERS = ['x-request-id', 'retry-after', 'www-authenticate'];

/** Says on any answer whether the page that asks may read it. */
export function allowOrigin(
  origins: readonly string[],
  { headers }: IncomingMessage,
  response: ServerResponse,
): void {
  if (origins.length === 0) return;
  // What a cache keeps for one origin is not for another.
  response.setHeader('vary', 'origin');
  if (headers.origin === undefined || !origins.includes(headers.origin)) return;
  response.setHeader('access-control-allow-origin', headers.origin);
  response.setHeader('access-control-expose-headers', EXPOSED_HEADERS.join(', '));
}

/** The headers of the answer to a preflight; none when it is no such request, or of another origin. */
export function preflightHeaders(
  origins: readonly string[],
  { headers }: IncomingMessage,
  methods: string[],
): Record<string, string> {
  const isPreflight = headers['access-control-request-method'] !== undefined;
  if (!isPreflight || headers.origin === undefined || !origins.includes(headers.origin)) return {};
  return {
    'access-control-allow-methods': methods.join(', '),
    'access-control-allow-headers': REQUEST_HEADERS.join(', '),
    'access-control-max-age': String(PREFLIGHT_MAX_AGE_SEC),
  };
}
