/** The messages to a client. A client that does not read them holds back who writes them. */
import type { WebSocket } from 'ws';
import type { Heartbeat } from './heartbeat.js';

export class Outbox {
  readonly #webSocket: WebSocket;
  readonly #heartbeat: Heartbeat;
  readonly #bufferedBytesMax: number;
  #lastSent: Promise<void> = Promise.resolve();

  constructor(webSocket: WebSocket, heartbeat: Heartbeat, bufferedBytesMax: number) {
    this.#webSocket = webSocket;
    this.#heartbeat = heartbeat;
    this.#bufferedBytesMax = bufferedBytesMax;
  }

  /** Sends one; resolves when there is room for the next, or nobody to read it. */
  async send(text: string): Promise<void> {
    // What cannot be sent any more is seen where the end of the WebSocket is.
    this.#lastSent = new Promise((resolve) => this.#webSocket.send(text, () => resolve()));
    if (this.#webSocket.bufferedAmount <= this.#bufferedBytesMax) return;
    await this.#lastSent;
    // Its answer to a ping may be a long way behind, but it reads.
    this.#heartbeat.heard();
  }

  /** Resolves when the system has taken all that was sent. */
  flushed(): Promise<void> {
    return this.#lastSent;
  }
}
