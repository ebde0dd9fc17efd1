/** A small DNS server on one address, by UDP and TCP, that answers as a test tells it. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** What to send back for a question; none at all, or several messages. */
export type Behaviour = (question: Buffer, protocol: 'udp' | 'tcp') => Buffer[];

export interface DnsServer {
  port: number;
  behaviour: Behaviour;
  /** Sends an answer by UDP that comes late. */
  send(answer: Buffer, port: number): void;
  /** Every question so far, with the port that it came from. */
  questions: { message: Buffer; protocol: 'udp' | 'tcp'; port: number }[];
  /** Idempotent. */
  close(): Promise<void>;
}

/** @param port 0 takes any free one. */
export async function startDnsServer(
  address: string,
  port: number,
  behaviour: Behaviour,
): Promise<DnsServer> {
  const sockets = new Set<Socket>();
  const tcp = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    socket.on('data', (chunk: Buffer) => {
      const message = chunk.subarray(2);
      server.questions.push({ message, protocol: 'tcp', port: socket.remotePort ?? 0 });
      for (const answer of server.behaviour(message, 'tcp')) socket.write(framed(answer));
    });
  });
  tcp.listen(port, address);
  await once(tcp, 'listening');

  const udp = createSocket('udp4');
  udp.on('message', (message, source) => {
    server.questions.push({ message, protocol: 'udp', port: source.port });
    for (const answer of server.behaviour(message, 'udp')) {
      udp.send(answer, source.port, source.address);
    }
  });
  let closed = false;
  const server: DnsServer = {
    port: (tcp.address() as AddressInfo).port,
    behaviour,
    questions: [],
    send: (answer, to) => udp.send(answer, to, address),
    async close() {
      if (closed) return;
      closed = true;
      for (const socket of sockets) socket.destroy();
      await Promise.all([
        new Promise((resolve) => tcp.close(resolve)),
        new Promise<void>((resolve) => udp.close(() => resolve())),
      ]);
    },
  };
  udp.bind(server.port, address);
  await once(udp, 'listening');
  return server;
}

export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}
