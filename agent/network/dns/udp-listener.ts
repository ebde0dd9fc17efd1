/** Guests' questions by UDP. */
import { createSocket, type Socket } from 'node:dgram';
import type { Log } from '../../../lib/log/log.js';
import { QUERY_BYTES_MAX } from './message.js';
import type { Relay } from './relay.js';

export class UdpListener {
  readonly #socket: Socket;
  readonly #relay: Relay;
  #closed = false;

  private constructor(socket: Socket, relay: Relay, log: Log) {
    this.#socket = socket;
    this.#relay = relay;
    socket.on('error', (error) => log.warn('dns socket failed', { error }));
    socket.on('message', (message, { address, port }) => {
      if (message.length <= QUERY_BYTES_MAX) void this.#answer(message, address, port);
    });
  }

  /** @throws Error when the address cannot be bound. */
  static async open(address: string, port: number, relay: Relay, log: Log): Promise<UdpListener> {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address, port, exclusive: true }, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    return new UdpListener(socket, relay, log);
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }

  async #answer(message: Buffer, address: string, port: number): Promise<void> {
    const answer = await this.#relay.answer(message, address, 'udp');
    if (!answer || this.#closed) return;
    // A guest that is gone by now does not miss its answer.
    this.#socket.send(answer, port, address, () => undefined);
  }
}
