/**
 * One HTTP request from its first line to its answer: find the route, call its
 * method, answer. Whatever goes wrong becomes an answer; nothing that a client
 * sends ends the process.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Code, toStatus, WrennError } from '../../lib/errors/index.js';
import { SlowBodyError } from './body-stream.js';
import { statusOf } from './call-error.js';
import { callMethod } from './call-method.js';
import { allowOrigin, preflightHeaders } from './cors.js';
import { beginExchange, type Exchange, whenOver } from './exchange.js';
import type { Gateway } from './gateway.js';
import { healthAnswer, isHealthPath } from './health.js';
import { hasTooManyHeaders } from './request-headers.js';
import { logRequest } from './request-log.js';
import { parseTarget, type RequestTarget } from './request-path.js';
import { type Answer, errorAnswer, jsonAnswer, send } from './response.js';
import { sendStream } from './send-stream.js';
import type { StreamAnswer } from './server-stream.js';

const REQUEST_TIMEOUT = 408;
const HEADERS_TOO_LARGE = 431;

/** Answers one request; never rejects. */
export async function handleRequest(
  gateway: Gateway,
  request: IncomingMessage,
  response: ServerResponse,
  invite: () => void,
): Promise<void> {
  const startedAt = performance.now();
  const exchange = beginExchange(request, response, invite);
  allowOrigin(gateway.corsOrigins, request, response);
  let failure: unknown;
  try {
    const answer = await answerRequest(gateway, exchange).catch((thrown: unknown) => {
      failure = thrown;
      return failureAnswer(gateway, exchange, thrown);
    });
    failure = (await deliver(gateway, exchange, answer)) ?? failure;
  } catch (error) {
    failure = error;
    response.destroy();
  }
  logRequest(gateway.log, exchange, failure, performance.now() - startedAt);
}

/** The answer to what arrived in place of a whole request. */
export function notARequestAnswer({ registry }: Gateway, httpStatus: number): Answer {
  const message = 'this is not a whole HTTP request within the limits';
  const error = new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', message);
  return errorAnswer(toStatus(error), registry, httpStatus);
}

async function answerRequest(gateway: Gateway, exchange: Exchange): Promise<Answer | StreamAnswer> {
  refuseTooManyHeaders(exchange.request);
  const admitted = gateway.admission.admit();
  whenOver(exchange, () => admitted.release());
  const target = parseTarget(exchange.request.url ?? '/');
  const answer =
    (await answerWithoutRoute(gateway, exchange, target)) ??
    (await callMethod(gateway, {
      exchange,
      match: gateway.routes.find(exchange.request.method ?? '', target.path),
      query: target.query,
      admitted,
    }));
  if ('body' in answer) admitted.holdInstead(answer.body.length);
  return answer;
}

/** Health, pages and OPTIONS, which stand in no proto. */
async function answerWithoutRoute(
  { upstream, routes, corsOrigins, pages }: Gateway,
  { request, signal }: Exchange,
  { path }: RequestTarget,
): Promise<Answer | undefined> {
  const method = request.method ?? '';
  const text = `/${path.rawSegments.join('/')}`;
  if (isHealthPath(text) && (method === 'GET' || method === 'HEAD')) {
    return healthAnswer(text, upstream, signal);
  }
  const page = pages.answer({ method, path: text, ifNoneMatch: request.headers['if-none-match'] });
  if (page) return page;
  const allowed = routes.methodsOf(path);
  if (method !== 'OPTIONS' || allowed.length === 0) return undefined;
  const headers = {
    allow: allowed.join(', '),
    ...preflightHeaders(corsOrigins, request, allowed),
  };
  return { ...jsonAnswer(200, {}), headers };
}

/** @returns what went wrong after the answer had begun. */
async function deliver(
  { limits }: Gateway,
  exchange: Exchange,
  answer: Answer | StreamAnswer,
): Promise<unknown> {
  const { request, response, requestId, signal } = exchange;
  if ('pieces' in answer) {
    return sendStream(exchange, answer, limits, (thrown) => statusOf(thrown, requestId));
  }
  if (!signal.aborted) await send(request, response, answer, limits.answerTimeoutMs);
  return undefined;
}

function failureAnswer({ registry }: Gateway, exchange: Exchange, thrown: unknown): Answer {
  const status = statusOf(thrown, exchange.requestId);
  return errorAnswer(status, registry, httpStatusWithoutReason(exchange, thrown));
}

/** Where HTTP has a status of its own and the error has no reason of its own. */
function httpStatusWithoutReason({ request }: Exchange, thrown: unknown): number | undefined {
  if (hasTooManyHeaders(request)) return HEADERS_TOO_LARGE;
  return thrown instanceof SlowBodyError ? REQUEST_TIMEOUT : undefined;
}

function refuseTooManyHeaders(request: IncomingMessage): void {
  if (!hasTooManyHeaders(request)) return;
  throw new WrennError(
    Code.INVALID_ARGUMENT,
    'INVALID_REQUEST',
    'the request has too many headers',
  );
}
