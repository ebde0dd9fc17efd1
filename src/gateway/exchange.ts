/** One request and its answer, and what is known of them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { requestIdOf } from './request-headers.js';

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  requestId: string;
  /** Aborts when the client goes away before it has its answer. */
  signal: AbortSignal;
  /** Tells a client that waits for it to send the body. */
  invite: () => void;
}

/** Begins an exchange; every answer names the request. */
export function beginExchange(
  request: IncomingMessage,
  response: ServerResponse,
  invite: () => void,
): Exchange {
  const requestId = requestIdOf(request);
  response.setHeader('x-request-id', requestId);
  const signal = whenClientLeaves({ request, response });
  return { request, response, requestId, signal, invite };
}

/**
 * Calls back once, when the answer has left or its connection is gone. Behind
 * the answer to an earlier request of the connection an answer has no socket
 * yet, and then only the socket itself tells that it never will.
 */
export function whenOver(
  { request: { socket }, response }: Pick<Exchange, 'request' | 'response'>,
  callBack: () => void,
): void {
  const over = () => {
    response.off('close', over);
    socket.off('close', over);
    callBack();
  };
  response.once('close', over);
  socket.once('close', over);
}

function whenClientLeaves(exchange: Pick<Exchange, 'request' | 'response'>): AbortSignal {
  const controller = new AbortController();
  whenOver(exchange, () => {
    if (!exchange.response.writableFinished) controller.abort();
  });
  return controller.signal;
}
