/**
 * The connections of a client, one at a time. The HTTP/2 library of a server
 * takes a thousand calls that are called off on one connection, and a few more
 * each second; then it ends the connection with all other calls on it. So a
 * connection gets no further call when so many have been called off, or are
 * open and may be; it ends when its last call does.
 */
import type { EventEmitter } from 'node:events';
import { type Client, type StatusObject, status } from '@grpc/grpc-js';

/** Calls that a connection has called off or open; below what nghttp2 takes in one go, 1000. */
export const RESETS_MAX = 800;

interface Connection {
  client: Client;
  open: number;
  calledOff: number;
}

export class Connections {
  readonly #connect: () => Client;
  readonly #resetsMax: number;
  readonly #retired = new Set<Connection>();
  #current: Connection | undefined;
  #isClosed = false;

  /**
   * @param connect makes a client with a connection of its own.
   * @param resetsMax Infinity for a connection that its owner watches over.
   */
  constructor(connect: () => Client, resetsMax = RESETS_MAX) {
    this.#connect = connect;
    this.#resetsMax = resetsMax;
  }

  /** Makes a call on a connection that has room for one that is called off. */
  start<Call extends EventEmitter>(begin: (client: Client) => Call): Call {
    if (this.#isClosed) throw new Error('the client is closed');
    const connection = this.#roomy();
    const call = begin(connection.client);
    connection.open += 1;
    call.once('status', ({ code }: StatusObject) => {
      connection.open -= 1;
      if (code === status.CANCELLED || code === status.DEADLINE_EXCEEDED) connection.calledOff += 1;
      this.#closeIfDone(connection);
    });
    return call;
  }

  /** Takes no further calls; those under way may end. */
  close(): void {
    this.#isClosed = true;
    for (const { client } of this.#retired) client.close();
    this.#retired.clear();
    this.#current?.client.close();
  }

  #roomy(): Connection {
    const current = this.#current;
    if (current && current.open + current.calledOff < this.#resetsMax) return current;
    if (current) this.#retired.add(current);
    this.#current = { client: this.#connect(), open: 0, calledOff: 0 };
    if (current) this.#closeIfDone(current);
    return this.#current;
  }

  #closeIfDone(connection: Connection): void {
    if (connection.open === 0 && this.#retired.delete(connection)) connection.client.close();
  }
}
