/**
 * One question to one name server. Each goes out under a random id and from a
 * port of its own that the kernel chose, on a connected socket, so that only
 * that server's address and port can answer; what does not match is ignored.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { type DnsQuery, isAnswer, withId } from './message.js';
import type { Resolver } from './resolvers.js';
import { FrameReader, frame } from './tcp-frames.js';

export type Protocol = 'udp' | 'tcp';

/**
 * Asks, and resolves with the server's answer under the query's own id.
 * @throws Error when the server cannot be reached, or the signal's reason when it aborts.
 */
export async function ask(
  server: Resolver,
  query: DnsQuery,
  protocol: Protocol,
  signal: AbortSignal,
): Promise<Buffer> {
  signal.throwIfAborted();
  const id = randomInt(0x10000);
  const askBy = protocol === 'udp' ? askByUdp : askByTcp;
  return withId(await askBy(server, query, id, signal), query.id);
}

function askByUdp(
  server: Resolver,
  query: DnsQuery,
  id: number,
  signal: AbortSignal,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(server.address) ? 'udp6' : 'udp4');
    let ended = false;
    const end = (settle: () => void) => {
      if (ended) return;
      ended = true;
      signal.removeEventListener('abort', onAbort);
      socket.close();
      settle();
    };
    const fail = (error: Error) => end(() => reject(error));
    const onAbort = () => fail(signal.reason as Error);

    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', fail);
    socket.on('message', (message) => {
      if (isAnswer(message, query, id)) end(() => resolve(message));
    });
    socket.once('connect', () => {
      socket.send(withId(query.message, id), (error) => error && fail(error));
    });
    socket.connect(server.port, server.address);
  });
}

function askByTcp(
  server: Resolver,
  query: DnsQuery,
  id: number,
  signal: AbortSignal,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, server.address);
    const reader = new FrameReader();
    const onAbort = () => socket.destroy(signal.reason as Error);

    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => socket.write(frame(withId(query.message, id))));
    socket.on('data', (chunk: Buffer) => {
      const answer = reader.add(chunk).find((message) => isAnswer(message, query, id));
      if (!answer) return;
      resolve(answer);
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => {
      signal.removeEventListener('abort', onAbort);
      reject(new Error('the name server closed the connection without an answer'));
    });
  });
}
