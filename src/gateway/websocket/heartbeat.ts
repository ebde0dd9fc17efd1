/**
 * Finds out that a client has gone without a word, and keeps proxies from
 * closing a quiet connection: it is pinged, and cut off when it does not answer.
 */
import type { WebSocket } from 'ws';
import type { WebSocketLimits } from './limits.js';

type HeartbeatLimits = Pick<WebSocketLimits, 'webSocketPingIntervalMs' | 'webSocketPongTimeoutMs'>;

export class Heartbeat {
  readonly #webSocket: WebSocket;
  readonly #pongTimeoutMs: number;
  readonly #interval: NodeJS.Timeout;
  #deadline: NodeJS.Timeout | undefined;

  /** Starts at once and ends with the WebSocket. */
  constructor(webSocket: WebSocket, limits: HeartbeatLimits) {
    this.#webSocket = webSocket;
    this.#pongTimeoutMs = limits.webSocketPongTimeoutMs;
    this.#interval = setInterval(() => this.#ping(), limits.webSocketPingIntervalMs);
    for (const sign of ['message', 'ping', 'pong']) webSocket.on(sign, () => this.heard());
    webSocket.once('close', () => {
      clearInterval(this.#interval);
      this.heard();
    });
  }

  /** Tells that the client has shown itself. */
  heard(): void {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
  }

  #ping(): void {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return;
    this.#webSocket.ping();
    this.#deadline ??= setTimeout(() => this.#cut(), this.#pongTimeoutMs);
  }

  #cut(): void {
    this.#deadline = undefined;
    // A client that is held back may have answered: the answer stands behind what is not read yet.
    if (!this.#webSocket.isPaused) this.#webSocket.terminate();
  }
}
