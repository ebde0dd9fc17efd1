/** Guests' questions by TCP: any number on one connection, answered as the answers come. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { QUERY_BYTES_MAX } from './message.js';
import type { Relay } from './relay.js';
import { SharedPlaces } from './shared-places.js';
import { FrameReader, frame } from './tcp-frames.js';

/** Connections of all guests together. */
export const CONNECTIONS_MAX = 256;
/** Connections of one guest. */
export const CONNECTIONS_PER_SOURCE_MAX = 8;
/** A connection without traffic ends after this time. */
export const IDLE_TIMEOUT_MS = 10_000;
/** A guest that does not read its answers loses the connection. */
export const UNSENT_BYTES_MAX = 512 * 1024;

export class TcpListener {
  readonly #server: Server;
  readonly #relay: Relay;
  readonly #sockets = new Set<Socket>();
  readonly #places = new SharedPlaces({
    totalMax: CONNECTIONS_MAX,
    perSourceMax: CONNECTIONS_PER_SOURCE_MAX,
  });

  private constructor(server: Server, relay: Relay) {
    this.#server = server;
    this.#relay = relay;
    server.on('connection', (socket) => this.#accept(socket));
  }

  /** @throws Error when the address cannot be bound. */
  static async open(address: string, port: number, relay: Relay): Promise<TcpListener> {
    const server = createServer();
    const listener = new TcpListener(server, relay);
    server.listen({ host: address, port, exclusive: true });
    await once(server, 'listening');
    return listener;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    const source = socket.remoteAddress ?? '';
    const leave = this.#places.take(source, () => socket.destroy());
    if (!leave) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      leave();
    });
    this.#serve(socket, source);
  }

  #serve(socket: Socket, source: string): void {
    const reader = new FrameReader(QUERY_BYTES_MAX);
    socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
    // What a guest does to its connection is its own affair.
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const message of reader.add(chunk)) void this.#answer(socket, message, source);
      } catch {
        socket.destroy();
      }
    });
  }

  async #answer(socket: Socket, message: Buffer, source: string): Promise<void> {
    const answer = await this.#relay.answer(message, source, 'tcp');
    if (!answer || socket.destroyed) return;
    if (socket.writableLength > UNSENT_BYTES_MAX) socket.destroy();
    else socket.write(frame(answer));
  }
}
