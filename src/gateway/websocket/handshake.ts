/**
 * The opening request of a WebSocket, checked as far as the gateway can: its
 * route, the protocol, where it comes from. Who calls is for the service to say.
 */
import type { IncomingMessage } from 'node:http';
import type { Metadata } from '@grpc/grpc-js';
import { Code, WrennError } from '../../../lib/errors/index.js';
import { hasBody } from '../body-stream.js';
import { callerTimeoutMs, hasTooManyHeaders, toMetadata } from '../request-headers.js';
import { parseTarget } from '../request-path.js';
import type { RouteMatch, RouteTable } from '../route-table.js';
import { WEB_SOCKET_VERSION } from './limits.js';
import { checkOrigin } from './origin.js';
import { invalidCredential, readSubprotocols } from './subprotocols.js';
import { upgradeRequired } from './upgrade-required.js';

export interface Handshake {
  match: RouteMatch;
  /** What stands after `?`, undecoded. */
  query: string;
  /** For the service; holds the credential. */
  metadata: Metadata;
  /** Time for the whole call; Infinity when the client does not bound it. */
  timeoutMs: number;
}

const KEY = /^[+/0-9A-Za-z]{22}==$/;

/** Whether a request asks for a WebSocket, and not for another protocol. */
export function isWebSocketRequest({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

/** @throws WrennError that says what is wrong with the request. */
export function readHandshake(
  request: IncomingMessage,
  requestId: string,
  routes: RouteTable,
  allowedOrigins: readonly string[],
): Handshake {
  if (hasTooManyHeaders(request)) throw invalid('the request has too many headers');
  const { path, query } = parseTarget(request.url ?? '/');
  const match = routes.find(request.method ?? '', path);
  if (match.route.kind !== 'bidi_streaming' || request.method !== 'GET') {
    throw invalid('this route takes no WebSocket');
  }
  checkProtocol(request);
  checkOrigin(request, allowedOrigins);
  const metadata = withCredential(request, toMetadata(request, requestId));
  return { match, query, metadata, timeoutMs: callerTimeoutMs(request) ?? Infinity };
}

function checkProtocol({ headers }: IncomingMessage): void {
  if (headers['sec-websocket-version'] !== WEB_SOCKET_VERSION) throw upgradeRequired();
  if (!KEY.test(headers['sec-websocket-key'] ?? '')) {
    throw invalid('the header sec-websocket-key is not 16 bytes in base64');
  }
  if (hasBody(headers)) throw invalid('a request for a WebSocket has no body');
}

/** Two credentials are refused: a service might look at one and the caller mean the other. */
function withCredential({ headers }: IncomingMessage, metadata: Metadata): Metadata {
  const { apiKey } = readSubprotocols(headers['sec-websocket-protocol']);
  if (apiKey === undefined) return metadata;
  if (headers['x-api-key'] !== undefined || headers.authorization !== undefined) {
    throw invalidCredential('a header and a subprotocol both hold a credential');
  }
  metadata.set('x-api-key', apiKey);
  return metadata;
}

function invalid(message: string): WrennError {
  return new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', message);
}
