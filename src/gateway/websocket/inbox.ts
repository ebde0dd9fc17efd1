/**
 * The messages of a client, taken one at a time. While one is being worked on
 * the socket is not read: what has arrived with it waits here, and TCP holds the
 * client back.
 */
import type { WebSocket } from 'ws';
import { Code, WrennError } from '../../../lib/errors/index.js';
import type { Heartbeat } from './heartbeat.js';

export interface InboxMessage {
  data: Buffer;
  isBinary: boolean;
}

export class Inbox {
  readonly #webSocket: WebSocket;
  readonly #heartbeat: Heartbeat;
  readonly #waiting: InboxMessage[] = [];
  #deliver: ((message: InboxMessage) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOpen = true;

  /** Must be made in the same turn as the WebSocket, or messages are missed. */
  constructor(webSocket: WebSocket, heartbeat: Heartbeat) {
    this.#webSocket = webSocket;
    this.#heartbeat = heartbeat;
    webSocket.on('message', (data: Buffer, isBinary: boolean) => this.#take({ data, isBinary }));
  }

  /** The next message; waits as long as it takes, or throws after a time. One caller at a time. */
  next(timeoutMs = Infinity): Promise<InboxMessage> {
    const message = this.#waiting.shift();
    if (message) return Promise.resolve(message);
    this.#readOn();
    return new Promise((resolve, reject) => {
      this.#deliver = resolve;
      if (timeoutMs < Infinity) this.#timer = setTimeout(() => reject(noMessage()), timeoutMs);
    });
  }

  /** Drops all that is there and all that comes, but lets the close frame through. */
  close(): void {
    this.#isOpen = false;
    clearTimeout(this.#timer);
    this.#waiting.length = 0;
    this.#readOn();
  }

  #readOn(): void {
    if (!this.#webSocket.isPaused) return;
    this.#webSocket.resume();
    // What it has answered to pings stands behind all that it has sent.
    this.#heartbeat.heard();
  }

  #take(message: InboxMessage): void {
    if (!this.#isOpen) return;
    clearTimeout(this.#timer);
    const deliver = this.#deliver;
    this.#deliver = undefined;
    if (deliver) {
      deliver(message);
      return;
    }
    this.#waiting.push(message);
    this.#webSocket.pause();
  }
}

function noMessage(): WrennError {
  return new WrennError(Code.DEADLINE_EXCEEDED, 'CANCELLED', 'no first message came in time');
}
