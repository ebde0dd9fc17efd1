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
  #lastLook: NodeJS.Immediate | undefined;

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
    clearImmediate(this.#lastLook);
    this.#deadline = undefined;
  }

  #ping(): void {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return;
    if (this.#webSocket.isPaused) {
      // It is held back, and an answer would stand behind what is not read yet. This asks for none,
      // and yet fails when nobody is there any more.
      this.#webSocket.pong();
      return;
    }
    this.#webSocket.ping();
    this.#deadline ??= setTimeout(() => {
      // After a standstill of this process the answer may be there and not be read yet.
      this.#lastLook = setImmediate(() => this.#cut());
    }, this.#pongTimeoutMs);
  }

  #cut(): void {
    this.#deadline = undefined;
    // A client that has come to be held back since may have answered.
    if (!this.#webSocket.isPaused) this.#webSocket.terminate();
  }
}
