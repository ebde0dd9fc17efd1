/** Answers a request for a WebSocket with HTTP, on the connection that Node has let go of. */
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { REFUSED_BODY_LINGER_MS } from '../limits.js';
import { type Answer, headersOf } from '../response.js';

/** Sends an answer, ends the connection, and resolves when it is closed. */
export async function refuse(
  request: IncomingMessage,
  socket: Socket,
  requestId: string,
  answer: Answer,
): Promise<void> {
  if (socket.destroyed) return;
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const overdue = setTimeout(() => socket.destroy(), REFUSED_BODY_LINGER_MS);
  const response = new ServerResponse(request);
  response.assignSocket(socket);
  response.once('finish', () => socket.end());
  const headers = { ...headersOf(answer), 'x-request-id': requestId };
  const { connection } = answer.headers;
  response.writeHead(answer.httpStatus, {
    ...headers,
    connection: connection === undefined ? 'close' : `${connection}, close`,
  });
  response.end(answer.body);
  // Were anything left unread when the connection closes, the client might see a reset in place of the answer.
  socket.resume();
  await closed;
  clearTimeout(overdue);
}
