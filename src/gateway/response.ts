/** Answers: messages as JSON, raw bodies, and errors as the JSON of google.rpc.Status. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JsonObject, JsonValue, Registry } from '@bufbuild/protobuf';
import { Status } from '../../gen/ts/google/rpc/status.js';
import { fromStatus } from '../../lib/errors/index.js';
import { hasBody } from './body-stream.js';
import { decodeContent } from './http-body.js';
import { httpStatusOf } from './http-status.js';
import { type JsonStyle, messageToJson } from './json-message.js';
import { REFUSED_BODY_BYTES_MAX, REFUSED_BODY_LINGER_MS } from './limits.js';
import type { Route } from './route-table.js';
import { WEB_SOCKET_VERSION } from './websocket/limits.js';

export interface Answer {
  httpStatus: number;
  contentType: string;
  headers: Record<string, string>;
  body: Buffer;
}

const UPGRADE_REQUIRED = 426;

/** Names as the protos spell them, and every field that has no presence, whatever its value. */
const STYLE: JsonStyle = { alwaysEmitImplicit: true, useProtoFieldName: true };

/** Every answer says these: it is data, not a page, and nobody may keep it. */
export const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

/** The answer for what a method returned. */
export function messageAnswer(route: Route, response: Buffer, registry: Registry): Answer {
  if (route.response.kind !== 'raw')
    return jsonAnswer(200, responseJson(route, response, registry));
  const { contentType, data } = decodeContent(route.response.field, response);
  return { httpStatus: 200, contentType, headers: {}, body: data };
}

/** The JSON of one message that a method returned, or of the field of it that its route names. */
export function responseJson(
  { output, response: rule }: Route,
  response: Buffer,
  registry: Registry,
): JsonValue {
  const json = messageToJson(output, response, registry, STYLE);
  return rule.kind === 'field' ? ((json as JsonObject)[rule.field.name] ?? null) : json;
}

/** The answer for an error. */
export function errorAnswer(status: Status, registry: Registry, httpStatus?: number): Answer {
  const { code, reason, metadata, retryAfterSec } = fromStatus(status);
  const { allow, upgrade } = metadata;
  const answer = jsonAnswer(httpStatus ?? httpStatusOf(code, reason), statusJson(status, registry));
  if (retryAfterSec !== undefined) answer.headers['retry-after'] = String(retryAfterSec);
  if (reason === 'METHOD_NOT_ALLOWED' && allow) answer.headers.allow = allow;
  if (reason === 'METHOD_NOT_ALLOWED' && upgrade) return upgradeAnswer(answer, upgrade);
  if (answer.httpStatus === 401) answer.headers['www-authenticate'] = 'Bearer realm="wrenn"';
  return answer;
}

function upgradeAnswer(answer: Answer, upgrade: string): Answer {
  const headers = {
    ...{ ...answer.headers, upgrade, connection: 'upgrade' },
    'sec-websocket-version': WEB_SOCKET_VERSION,
  };
  return { ...answer, httpStatus: UPGRADE_REQUIRED, headers };
}

export function jsonAnswer(httpStatus: number, json: JsonValue): Answer {
  return {
    httpStatus,
    contentType: 'application/json',
    headers: {},
    // The newline keeps one answer apart from the next on a terminal.
    body: Buffer.from(`${JSON.stringify(json)}\n`),
  };
}

export function headersOf(answer: Answer): Record<string, string | number> {
  return {
    ...SECURITY_HEADERS,
    ...answer.headers,
    'content-type': answer.contentType,
    'content-length': answer.body.length,
  };
}

/**
 * Sends an answer; a client that does not take it in time is cut off. What is
 * left of a refused body is dropped first, within bounds.
 */
export async function send(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  timeoutMs: number,
): Promise<void> {
  const timer = setTimeout(() => response.destroy(), timeoutMs);
  response.once('close', () => clearTimeout(timer));
  const isRefused = !request.complete && hasBody(request.headers);
  response.writeHead(answer.httpStatus, {
    ...headersOf(answer),
    ...(isRefused ? { connection: 'close' } : {}),
  });
  response.write(answer.body);
  if (isRefused) await dropBody(request);
  response.end();
}

/** A client that is still sending would see a reset instead of the answer if we just closed. */
function dropBody(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let dropped = 0;
    const timer = setTimeout(resolve, REFUSED_BODY_LINGER_MS);
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    request.once('close', done);
    request.once('end', done);
    request.on('data', (chunk: Buffer) => {
      dropped += chunk.length;
      if (dropped > REFUSED_BODY_BYTES_MAX) done();
    });
  });
}

/** The JSON of google.rpc.Status, without details whose type nobody could look up. */
export function statusJson(status: Status, registry: Registry): JsonValue {
  const descriptor = registry.getMessage('google.rpc.Status');
  if (!descriptor) throw new Error('the descriptor set lacks google/rpc/status.proto');
  const details = status.details.filter(({ typeUrl }) =>
    registry.getMessage(typeUrl.slice(typeUrl.lastIndexOf('/') + 1)),
  );
  const bytes = Status.encode({ ...status, details }).finish();
  return messageToJson(descriptor, bytes, registry, STYLE);
}
