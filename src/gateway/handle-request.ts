/**
 * One HTTP request from its first line to its answer: find the route, read the
 * body, bind the message, call the service, answer. Whatever goes wrong becomes
 * an answer; nothing that a client sends ends the process.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Registry } from '@bufbuild/protobuf';
import { Code, fromStatus, toStatus, WrennError } from '../../lib/errors/index.js';
import type { Log } from '../../lib/log/log.js';
import type { Admission, AdmittedRequest } from './admission.js';
import { bindRequest } from './bind-request.js';
import { isSentByService, statusOf } from './call-error.js';
import { timeoutMsOf } from './deadlines.js';
import { healthAnswer, isHealthPath } from './health.js';
import type { GatewayLimits } from './limits.js';
import { parseBody } from './request-body.js';
import { callerTimeoutMs, hasTooManyHeaders, requestIdOf, toMetadata } from './request-headers.js';
import { parseTarget, type RequestTarget } from './request-path.js';
import { type Answer, errorAnswer, jsonAnswer, messageAnswer, send } from './response.js';
import type { RouteTable } from './route-table.js';
import type { Upstream } from './upstream.js';

/** What every request needs. */
export interface Gateway {
  /** The types that JSON may name. */
  registry: Registry;
  routes: RouteTable;
  upstream: Upstream;
  admission: Admission;
  limits: GatewayLimits;
  log: Log;
}

/** One request and what is known of it. */
interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  requestId: string;
  /** Aborts when the client goes away before it has its answer. */
  signal: AbortSignal;
  /** Tells a client that waits for it to send the body. */
  invite: () => void;
}

const HEADERS_TOO_LARGE = 431;

/** Answers one request; never rejects. */
export async function handleRequest(
  gateway: Gateway,
  request: IncomingMessage,
  response: ServerResponse,
  invite: () => void,
): Promise<void> {
  const startedAt = performance.now();
  const requestId = requestIdOf(request);
  const signal = whenClientLeaves(response);
  response.setHeader('x-request-id', requestId);
  const exchange = { request, response, requestId, signal, invite };
  let failure: unknown;
  try {
    const answer = await answerRequest(gateway, exchange).catch((thrown: unknown) => {
      failure = thrown;
      return failureAnswer(gateway, exchange, thrown);
    });
    if (!signal.aborted) await send(request, response, answer, gateway.limits.answerTimeoutMs);
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

async function answerRequest(gateway: Gateway, exchange: Exchange): Promise<Answer> {
  refuseTooManyHeaders(exchange.request);
  const admitted = gateway.admission.admit();
  whenOver(exchange, () => admitted.release());
  const target = parseTarget(exchange.request.url ?? '/');
  const answer =
    (await answerWithoutRoute(gateway, exchange, target)) ??
    (await answerRoute(gateway, exchange, target, admitted));
  admitted.holdInstead(answer.body.length);
  return answer;
}

/** Health and OPTIONS, which stand in no proto. */
async function answerWithoutRoute(
  { upstream, routes }: Gateway,
  { request, signal }: Exchange,
  { path }: RequestTarget,
): Promise<Answer | undefined> {
  const method = request.method ?? '';
  const text = `/${path.rawSegments.join('/')}`;
  if (isHealthPath(text) && (method === 'GET' || method === 'HEAD')) {
    return healthAnswer(text, upstream, signal);
  }
  const allowed = routes.methodsOf(path);
  if (method !== 'OPTIONS' || allowed.length === 0) return undefined;
  return { ...jsonAnswer(200, {}), headers: { allow: allowed.join(', ') } };
}

async function answerRoute(
  gateway: Gateway,
  exchange: Exchange,
  target: RequestTarget,
  admitted: AdmittedRequest,
): Promise<Answer> {
  const { registry, routes, upstream, limits } = gateway;
  const { request, requestId, signal, invite } = exchange;
  const match = routes.find(request.method ?? '', target.path);
  const { rpcPath } = match.route;
  const metadata = toMetadata(request, requestId);
  const waitsMs = callerTimeoutMs(request);
  const body = await parseBody({ request, admitted, invite }, match.route, limits);
  const { message, bytes } = bindRequest(match, target.query, body, registry);
  const timeoutMs = timeoutMsOf(rpcPath, message, waitsMs);
  const response = await upstream.call(rpcPath, bytes, { metadata, timeoutMs, signal });
  return messageAnswer(match.route, response, registry);
}

function failureAnswer({ registry }: Gateway, exchange: Exchange, thrown: unknown): Answer {
  const status = statusOf(thrown, exchange.requestId);
  const httpStatus = hasTooManyHeaders(exchange.request) ? HEADERS_TOO_LARGE : undefined;
  return errorAnswer(status, registry, httpStatus);
}

function refuseTooManyHeaders(request: IncomingMessage): void {
  if (!hasTooManyHeaders(request)) return;
  throw new WrennError(
    Code.INVALID_ARGUMENT,
    'INVALID_REQUEST',
    'the request has too many headers',
  );
}

/**
 * Calls back once, when the answer has left or its connection is gone. Behind
 * the answer to an earlier request of the connection an answer has no socket
 * yet, and then only the socket itself tells that it never will.
 */
function whenOver({ request: { socket }, response }: Exchange, callBack: () => void): void {
  const over = () => {
    response.off('close', over);
    socket.off('close', over);
    callBack();
  };
  response.once('close', over);
  socket.once('close', over);
}

function whenClientLeaves(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}

/** A service logs its own calls; here stands what never reached one, and what grpc-js reports. */
function logRequest(log: Log, exchange: Exchange, failure: unknown, durationMs: number): void {
  const { request, response, requestId, signal } = exchange;
  const fields = {
    request_id: requestId,
    http_method: request.method,
    http_status: response.headersSent ? response.statusCode : undefined,
    duration_ms: Math.round(durationMs * 10) / 10,
  };
  if (failure === undefined || isSentByService(failure)) {
    log.debug('http request finished', fields);
    return;
  }
  if (signal.aborted) {
    log.info('http client went away', fields);
    return;
  }
  const { code, reason } = fromStatus(statusOf(failure, requestId));
  const errorFields = { ...fields, error_reason: reason };
  if (code === Code.INTERNAL) log.error('http request failed', { ...errorFields, error: failure });
  else if (code === Code.UNAVAILABLE) log.warn('http request failed', errorFields);
  else log.info('http request refused', errorFields);
}
