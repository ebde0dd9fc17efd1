/**
 * The sockets of one connection to a guest. A gRPC channel that is closed ends
 * its socket politely, which for a guest that is gone takes until the kernel
 * gives up: each would hold a descriptor for a quarter of an hour.
 *
 * gRPC does not show its sockets, so those are noted that Node makes while, or
 * because of what, a channel of ours was being made.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

const owner = new AsyncLocalStorage<Set<Socket>>();

subscribe('net.client.socket', (message) => {
  const sockets = owner.getStore();
  if (!sockets) return;
  const { socket } = message as { socket: Socket };
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
});

export class GuestSockets {
  readonly #sockets = new Set<Socket>();

  /** Does `work`; the sockets that come of it, also later, are those of this connection. */
  own<T>(work: () => T): T {
    return owner.run(this.#sockets, work);
  }

  /** Ends them at once. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
