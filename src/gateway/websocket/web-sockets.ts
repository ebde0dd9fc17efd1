/**
 * WebSockets in front of bidirectional methods. A request for one is checked,
 * then the call is opened, and only when the service has let the caller in is
 * the request accepted: a refusal is an HTTP answer like any other. From then on
 * conversation.ts carries the messages.
 */
import { setMaxListeners } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { Code, WrennError } from '../../../lib/errors/index.js';
import { statusOf } from '../call-error.js';
import type { Gateway } from '../gateway.js';
import { hasTooManyHeaders, requestIdOf } from '../request-headers.js';
import { errorAnswer, responseJson, statusJson } from '../response.js';
import type { UpstreamStream } from '../upstream-stream.js';
import { converse } from './conversation.js';
import { type Handshake, readHandshake } from './handshake.js';
import {
  BUFFERED_CHUNKS_MAX,
  FRAGMENTS_MAX,
  PENDING_PONGS_MAX,
  SUBPROTOCOL,
  type WebSocketLimits,
} from './limits.js';
import { logWebSocket } from './log.js';
import { refuse } from './refusal.js';
import { requestEncoder } from './request-messages.js';

/** What every WebSocket needs. */
export type WebSocketsOptions = Pick<
  Gateway,
  'registry' | 'routes' | 'upstream' | 'limits' | 'corsOrigins' | 'log'
>;

/** A request for a WebSocket and what is known of it. */
interface Opening {
  request: IncomingMessage;
  socket: Socket;
  /** What the client has sent after the request. */
  head: Buffer;
  requestId: string;
}

interface Outcome {
  httpStatus: number | undefined;
  closeCode: number | undefined;
  failure: unknown;
  hasLeft: boolean;
}

const SWITCHING_PROTOCOLS = 101;
const HEADERS_TOO_LARGE = 431;
const RETRY_AFTER_SEC = 1;

export class WebSockets {
  readonly #options: WebSocketsOptions;
  readonly #server: WebSocketServer;
  readonly #shutdown = new AbortController();
  /** Each with the promise of its end. */
  readonly #open = new Map<Socket, Promise<void>>();
  /** Those among them that were not refused. */
  #admitted = 0;
  readonly #requestIds = new WeakMap<IncomingMessage, string>();

  constructor(options: WebSocketsOptions) {
    // One listener for each WebSocket, gone with it: their number is bounded by the limits.
    setMaxListeners(0, this.#shutdown.signal);
    this.#options = options;
    this.#server = createServer(options.limits);
    this.#server.on('headers', (headers: string[], request: IncomingMessage) => {
      headers.push(`x-request-id: ${this.#requestIds.get(request)}`);
    });
  }

  /** Takes over the connection of a request for a WebSocket. */
  accept(request: IncomingMessage, connection: Duplex, head: Buffer): void {
    const socket = connection as Socket;
    // Node has taken its own listener away, and a reset without one would end the process.
    socket.on('error', () => undefined);
    const opening = { request, socket, head, requestId: requestIdOf(request) };
    this.#requestIds.set(request, opening.requestId);
    const ended = this.#serve(opening).finally(() => this.#open.delete(socket));
    this.#open.set(socket, ended);
  }

  /** Tells all clients to go; connections that are left after a while are cut. */
  async close(timeoutMs: number): Promise<void> {
    this.#shutdown.abort(shuttingDown());
    const force = setTimeout(() => {
      for (const socket of this.#open.keys()) socket.destroy();
    }, timeoutMs);
    await Promise.all(this.#open.values());
    clearTimeout(force);
  }

  /** Never rejects. */
  async #serve(opening: Opening): Promise<void> {
    const startedAt = performance.now();
    const outcome = await this.#admit(opening).catch((error: unknown) =>
      this.#refuse(opening, error),
    );
    logWebSocket(this.#options.log, {
      ...outcome,
      requestId: opening.requestId,
      durationMs: performance.now() - startedAt,
    });
  }

  async #admit(opening: Opening): Promise<Outcome> {
    if (this.#admitted >= this.#options.limits.webSocketsMax) throw overloaded();
    this.#admitted += 1;
    try {
      return await this.#converse(opening);
    } finally {
      this.#admitted -= 1;
    }
  }

  async #converse(opening: Opening): Promise<Outcome> {
    const { routes, corsOrigins, registry, limits } = this.#options;
    const { request, requestId, socket } = opening;
    const handshake = readHandshake(request, requestId, routes, corsOrigins);
    const call = await this.#openCall(handshake, socket);
    const webSocket = this.#completeUpgrade(opening);
    if (!webSocket) {
      call.cancel();
      return { httpStatus: undefined, closeCode: undefined, failure: undefined, hasLeft: true };
    }
    let closeCode: number | undefined;
    webSocket.once('close', (code: number) => {
      closeCode = code;
    });
    const { match, query } = handshake;
    const ending = await converse({
      webSocket,
      call,
      encode: requestEncoder(match, query, registry),
      decode: (response) => JSON.stringify(responseJson(match.route, response, registry)),
      describe: (error) => {
        const status = statusOf(error, requestId);
        return { status, text: JSON.stringify({ error: statusJson(status, registry) }) };
      },
      shutdown: this.#shutdown.signal,
      limits,
    });
    const failure = ending.kind === 'failed' ? ending.error : undefined;
    const hasLeft = ending.kind === 'left';
    return { httpStatus: SWITCHING_PROTOCOLS, closeCode, failure, hasLeft };
  }

  /** Opens the call and waits until the service has let the caller in. */
  async #openCall(handshake: Handshake, socket: Socket): Promise<UpstreamStream> {
    const { upstream, limits } = this.#options;
    const { match, metadata, timeoutMs } = handshake;
    const controller = new AbortController();
    const { signal } = controller;
    const stop = (reason: WrennError) => controller.abort(reason);
    const timer = setTimeout(() => stop(notLetIn()), limits.webSocketHandshakeTimeoutMs);
    const leave = () => stop(clientLeft());
    const shutDown = () => stop(shuttingDown());
    socket.once('close', leave);
    this.#shutdown.signal.addEventListener('abort', shutDown, { once: true });
    try {
      if (this.#shutdown.signal.aborted) shutDown();
      const call = upstream.open(match.route.rpcPath, { metadata, timeoutMs, signal });
      await call.admitted;
      signal.throwIfAborted();
      return call;
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      clearTimeout(timer);
      socket.off('close', leave);
      this.#shutdown.signal.removeEventListener('abort', shutDown);
    }
  }

  /** Undefined when the client has gone meanwhile. */
  #completeUpgrade({ request, socket, head }: Opening): WebSocket | undefined {
    let webSocket: WebSocket | undefined;
    this.#server.handleUpgrade(request, socket, head, (opened) => {
      webSocket = opened;
    });
    return webSocket;
  }

  async #refuse(opening: Opening, failure: unknown): Promise<Outcome> {
    const { request, socket, requestId } = opening;
    const hasLeft = socket.destroyed;
    const httpStatus = hasTooManyHeaders(request) ? HEADERS_TOO_LARGE : undefined;
    const status = statusOf(failure, requestId);
    const answer = errorAnswer(status, this.#options.registry, httpStatus);
    await refuse(request, socket, requestId, answer);
    return { httpStatus: answer.httpStatus, closeCode: undefined, failure, hasLeft };
  }
}

function createServer(limits: WebSocketLimits): WebSocketServer {
  const options = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.webSocketMessageBytesMax,
    maxFragments: FRAGMENTS_MAX,
    maxBufferedChunks: BUFFERED_CHUNKS_MAX,
    maxPendingAutoPongs: PENDING_PONGS_MAX,
    closeTimeout: limits.webSocketCloseTimeoutMs,
    handleProtocols: () => SUBPROTOCOL,
  };
  return new WebSocketServer(options);
}

function overloaded(): WrennError {
  return new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'OVERLOADED',
    'the server has as many WebSockets as it takes; try again',
    { retryAfterSec: RETRY_AFTER_SEC },
  );
}

function shuttingDown(): WrennError {
  return new WrennError(Code.UNAVAILABLE, 'SHUTTING_DOWN', 'the server is shutting down', {
    retryAfterSec: RETRY_AFTER_SEC,
  });
}

function notLetIn(): WrennError {
  return new WrennError(
    Code.DEADLINE_EXCEEDED,
    'CANCELLED',
    'the service did not open the stream in time',
  );
}

function clientLeft(): WrennError {
  return new WrennError(Code.CANCELLED, 'CANCELLED', 'the client went away');
}
