/**
 * The HTTP/1.1 server below the gateway: its limits on connections, headers and
 * time, its answers to what is not HTTP, and its orderly end.
 */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type GatewayLimits, HEADER_BYTES_MAX, HEADER_PAIRS_MAX } from './limits.js';
import { hasTooManyHeaders } from './request-headers.js';
import { type Answer, headersOf } from './response.js';
import { isWebSocketRequest } from './websocket/handshake.js';
import { answerWithoutUpgrade } from './websocket/other-protocols.js';

export type RequestHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  invite: () => void,
) => void;

/** Takes over the connection of a request for a WebSocket, with what came after the request. */
export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Status for what Node reports before there is a request. */
const STATUS_BY_ERROR_CODE: Record<string, number> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};
const BAD_REQUEST = 400;
const IDLE_CLOSE_PAUSE_MS = 50;

/**
 * Makes a server that does not listen yet.
 * @param handler answers requests.
 * @param upgrade takes over requests for WebSockets.
 * @param describe makes the answer to what is no whole request.
 */
export function createHttpServer(
  handler: RequestHandler,
  upgrade: UpgradeHandler,
  describe: (httpStatus: number) => Answer,
  limits: GatewayLimits,
): Server {
  const server = createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: limits.headersTimeoutMs,
    // An upload may last; each body has a time of its own where it is read.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: limits.connectionCheckIntervalMs,
  });
  server.maxConnections = limits.connectionsMax;
  // Node drops what is over this without a word; the gateway refuses before it comes to that.
  server.maxHeadersCount = 2 * HEADER_PAIRS_MAX;
  // Each request of a connection listens to its end; how many there are is limited elsewhere.
  server.on('connection', (socket) => socket.setMaxListeners(0));
  const underWay = new WeakMap<Socket, ServerResponse>();
  const handle = (request: IncomingMessage, response: ServerResponse, invite: () => void) => {
    underWay.set(request.socket, response);
    response.once('close', () => {
      if (underWay.get(request.socket) === response) underWay.delete(request.socket);
    });
    handler(request, response, invite);
  };
  server.on('request', (request, response) => handle(request, response, () => undefined));
  server.on('checkContinue', (request, response: ServerResponse) =>
    handle(request, response, () => response.writeContinue()),
  );
  server.on('upgrade', (request, socket: Socket, head) => {
    // The answer to an earlier request would run into what follows.
    if (underWay.has(socket)) socket.destroy();
    else if (isPlain(request)) answerWithoutUpgrade(server, request, socket, head);
    else upgrade(request, socket, head);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) =>
    answerClientError(error, socket, underWay.get(socket), describe),
  );
  return server;
}

/**
 * Listens on `host:port` or `unix:/path`.
 * @returns the address in the same form, with the port that was chosen for 0.
 */
export async function listen(server: Server, address: string): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(toListenOptions(address), () => {
      server.off('error', reject);
      resolve();
    });
  });
  const bound = server.address();
  return typeof bound === 'string' || bound === null ? address : formatAddress(bound);
}

/** Stops listening, lets requests in flight end, and closes what is left after a while. */
export async function closeHttpServer(server: Server, timeoutMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection that was busy becomes idle with its answer, and would stay open for another.
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_CLOSE_PAUSE_MS);
  const force = setTimeout(() => server.closeAllConnections(), timeoutMs);
  await closed;
  clearInterval(idle);
  clearTimeout(force);
}

function toListenOptions(address: string): { path: string } | { host: string; port: number } {
  if (address.startsWith('unix:')) return { path: address.slice('unix:'.length) };
  const [, host = '', port = ''] = /^(.*):(\d{1,5})$/.exec(address) ?? [];
  if (host === '') throw new Error(`${address} is no host:port and no unix:/path`);
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}

function formatAddress({ address, family, port }: AddressInfo): string {
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * Whether the server may read a request once more, as one without an upgrade. Of
 * too many headers Node keeps some only, and then the request would be another.
 */
function isPlain(request: IncomingMessage): boolean {
  return !isWebSocketRequest(request) && !hasTooManyHeaders(request);
}

/** Answers what Node reports, unless the answer to a request is on its way already. */
function answerClientError(
  error: NodeJS.ErrnoException,
  socket: Socket,
  underWay: ServerResponse | undefined,
  describe: (httpStatus: number) => Answer,
): void {
  if (!socket.writable || error.code === 'ECONNRESET' || underWay?.headersSent) {
    socket.destroy();
    return;
  }
  const answer = describe(STATUS_BY_ERROR_CODE[error.code ?? ''] ?? BAD_REQUEST);
  const headers = { ...headersOf(answer), connection: 'close' };
  const head = [
    `HTTP/1.1 ${answer.httpStatus} ${STATUS_CODES[answer.httpStatus]}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), answer.body]));
}
