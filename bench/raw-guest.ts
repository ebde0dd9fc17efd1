/**
 * The anchor for streams of a real machine: the same bytes over a TCP connection
 * of their own to a program of a few lines in the same guest.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { WrennClient } from '../clients/typescript/index.js';
import { retry } from '../lib/lifecycle/delay.js';
import { DOWNLOAD_PATH, type Throughput, UPLOAD_PATH } from './throughput.js';

const PORT = 7777;
const CONNECT = { timeoutMs: 60_000, pauseMs: 100, pauseMsMax: 500 };
const CONNECT_TIMEOUT_MS = 5_000;

/** The first byte of a connection says what is wanted: output, a download, or an upload. */
const SERVER = `
import os, socket
listener = socket.create_server(('', ${PORT}))
zeros = bytes(65536)
room = bytearray(262144)
while True:
    peer, _ = listener.accept()
    try:
        wanted = peer.recv(1)
        if wanted == b'o':
            while True:
                peer.sendall(zeros)
        elif wanted == b'd':
            with open('${DOWNLOAD_PATH}', 'rb') as file:
                peer.sendfile(file)
        elif wanted == b'u':
            with open('${UPLOAD_PATH}', 'wb') as file:
                while True:
                    size = peer.recv_into(room)
                    if size == 0:
                        break
                    file.write(memoryview(room)[:size])
            peer.sendall(b'!')
    except OSError:
        pass
    peer.close()
`;

/** Starts the program in the guest and waits until it answers. @param address of the guest. */
export async function startRawGuest(
  { processes }: WrennClient,
  sandboxId: string,
  address: string,
  signal: AbortSignal,
): Promise<Throughput> {
  await processes.start(sandboxId, { cmd: 'python3', args: ['-c', SERVER] }, { signal });
  await retry(async () => (await open(address)).destroy(), { ...CONNECT, signal });
  return {
    output: async (bytes) => {
      const socket = await open(address);
      socket.write('o');
      await once(socket, 'readable');
      return receive(socket, bytes);
    },
    download: async (bytes) => {
      const startedAt = performance.now();
      const socket = await open(address);
      socket.write('d');
      await receive(socket, bytes);
      return performance.now() - startedAt;
    },
    upload: async (pieces) => {
      const startedAt = performance.now();
      const socket = await open(address);
      socket.write('u');
      for (const piece of pieces) {
        if (!socket.write(piece)) await once(socket, 'drain');
      }
      socket.end();
      await receive(socket, 1);
      return performance.now() - startedAt;
    },
  };
}

/** @throws Error when the guest sends less. */
async function receive(socket: Socket, bytes: number): Promise<number> {
  const startedAt = performance.now();
  let left = bytes;
  for await (const piece of socket) {
    left -= (piece as Buffer).length;
    if (left <= 0) break;
  }
  socket.destroy();
  if (left > 0) throw new Error('the guest has closed the connection');
  return performance.now() - startedAt;
}

async function open(address: string): Promise<Socket> {
  const socket = connect({ host: address, port: PORT, noDelay: true, allowHalfOpen: true });
  socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(new Error('no answer')));
  await once(socket, 'connect');
  socket.setTimeout(0);
  return socket;
}
