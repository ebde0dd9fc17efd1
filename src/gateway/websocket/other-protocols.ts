/**
 * Requests that offer to go on in a protocol other than WebSocket, as some
 * clients do with every request (`upgrade: h2c`). HTTP lets a server pass over
 * the offer, but Node hands all of them over once it hands over any; here they
 * go back to it without the offer.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** Lets the server read the request once more, as a plain one. */
export function answerWithoutUpgrade(
  server: Server,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  socket.unshift(Buffer.concat([headOf(request), head]));
  server.emit('connection', socket);
}

/** The request's head as it came, but for the offer. */
function headOf({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.toLowerCase() !== 'upgrade') lines.push(`${name}: ${rawHeaders[index + 1]}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}
