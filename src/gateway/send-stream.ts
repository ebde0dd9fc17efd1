/**
 * Sends the answer of a stream as fast as its client takes it. A client that
 * takes nothing holds up the call behind it, and only that, for a long while.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Status } from '../../gen/ts/google/rpc/status.js';
import { drainedOrOver } from '../../lib/rpc/streams.js';
import type { Exchange } from './exchange.js';
import type { GatewayLimits } from './limits.js';
import { SECURITY_HEADERS } from './response.js';
import type { StreamAnswer } from './server-stream.js';

/**
 * Sends it to its end, or until the client goes away.
 * @param describe makes the status of an error.
 * @returns the error that ended the stream, or undefined when it ended well.
 */
export async function sendStream(
  { request, response, signal }: Pick<Exchange, 'request' | 'response' | 'signal'>,
  answer: StreamAnswer,
  limits: Pick<GatewayLimits, 'streamStallTimeoutMs' | 'streamQuietMs'>,
  describe: (thrown: unknown) => Status,
): Promise<unknown> {
  response.writeHead(200, {
    ...SECURITY_HEADERS,
    'content-type': answer.contentType,
    // A proxy that collected the answer would hold back what has happened.
    'x-accel-buffering': 'no',
  });
  response.flushHeaders();
  const keepAlive = keepAliveTimer(response, answer.keepAlive, limits.streamQuietMs);
  try {
    for await (const piece of answer.pieces) {
      await write(response, piece, limits.streamStallTimeoutMs, signal);
      keepAlive?.refresh();
    }
  } catch (thrown) {
    if (answer.failurePiece) response.end(answer.failurePiece(describe(thrown)));
    else cut(request, response);
    return thrown;
  } finally {
    clearInterval(keepAlive);
  }
  response.end();
  return undefined;
}

function keepAliveTimer(
  response: ServerResponse,
  piece: Buffer | undefined,
  quietMs: number,
): NodeJS.Timeout | undefined {
  if (!piece) return undefined;
  return setInterval(() => {
    if (!response.writableNeedDrain) response.write(piece);
  }, quietMs);
}

/** Resolves when there is room for more, or nobody to take it. */
async function write(
  response: ServerResponse,
  piece: Buffer,
  stallTimeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  if (piece.length === 0 || signal.aborted || response.destroyed || response.write(piece)) return;
  const timer = setTimeout(() => response.destroy(), stallTimeoutMs);
  // An answer that waits behind another one is never closed; its signal tells.
  await drainedOrOver(response, signal);
  clearTimeout(timer);
}

/** To a client of HTTP/1.0 the plain end of a connection would look like the end of the content. */
function cut(request: IncomingMessage, response: ServerResponse): void {
  if (request.httpVersion === '1.0') request.socket.resetAndDestroy();
  else response.destroy();
}
