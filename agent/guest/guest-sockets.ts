/**
 * The sockets on which guests are reached. A gRPC channel that is closed ends
 * its socket politely, which for a guest that is gone takes until the kernel
 * gives up; each would hold a descriptor for a quarter of an hour.
 *
 * gRPC does not show its sockets, so they are noted when Node makes them.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { ENVD_PORT } from '../../lib/guest/contract.js';

const sockets = new Map<string, Set<Socket>>();

subscribe('net.client.socket', (message) => {
  const { socket } = message as { socket: Socket };
  socket.once('connect', () => note(socket));
});

function note(socket: Socket): void {
  if (socket.remotePort !== ENVD_PORT) return;
  const target = `${socket.remoteAddress}:${socket.remotePort}`;
  const known = sockets.get(target) ?? new Set();
  sockets.set(target, known.add(socket));
  socket.once('close', () => {
    known.delete(socket);
    if (known.size === 0 && sockets.get(target) === known) sockets.delete(target);
  });
}

/** Ends every connection to a guest at once. */
export function destroySockets(target: string): void {
  for (const socket of sockets.get(target) ?? []) socket.destroy();
}
