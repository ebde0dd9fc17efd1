/** Answers: messages as JSON, raw bodies, and errors as the JSON of google.rpc.Status. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JsonObject, JsonValue, Registry } from '@bufbuild/protobuf';
import { HttpBody } from '../../gen/ts/google/api/httpbody.js';
import { Status } from '../../gen/ts/google/rpc/status.js';
import { fromStatus } from '../../lib/errors/index.js';
import { hasBody } from './body-stream.js';
import { httpStatusOf } from './http-status.js';
import { type JsonStyle, messageToJson } from './json-message.js';
import { REFUSED_BODY_BYTES_MAX, REFUSED_BODY_LINGER_MS } from './limits.js';
import type { Route } from './route-table.js';

export interface Answer {
  httpStatus: number;
  contentType: string;
  headers: Record<string, string>;
  body: Buffer;
}

const HTTP_BODY = 'google.api.HttpBody';
const MEDIA_TYPE = /^[\w.+-]+\/[\w.+-]+(?:;[\x20-\x7e]*)?$/;

/** Names as the protos spell them, and every field that has no presence, whatever its value. */
const STYLE: JsonStyle = { alwaysEmitImplicit: true, useProtoFieldName: true };

/** Every answer says these: it is data, not a page, and nobody may keep it. */
const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

/** The answer for what a method returned. */
export function messageAnswer(route: Route, response: Buffer, registry: Registry): Answer {
  if (route.output.typeName === HTTP_BODY) return rawAnswer(HttpBody.decode(response));
  return jsonAnswer(200, responseJson(route, response, registry));
}

/** The JSON of one message that a method returned, or of the field of it that its route names. */
export function responseJson(route: Route, response: Buffer, registry: Registry): JsonValue {
  const json = messageToJson(route.output, response, registry, STYLE);
  const { responseField } = route;
  return responseField ? ((json as JsonObject)[responseField.name] ?? null) : json;
}

/** The answer for an error. */
export function errorAnswer(status: Status, registry: Registry, httpStatus?: number): Answer {
  const { code, reason, metadata, retryAfterSec } = fromStatus(status);
  const { allow } = metadata;
  const answer = jsonAnswer(httpStatus ?? httpStatusOf(code, reason), statusJson(status, registry));
  if (retryAfterSec !== undefined) answer.headers['retry-after'] = String(retryAfterSec);
  if (reason === 'METHOD_NOT_ALLOWED' && allow) answer.headers.allow = allow;
  if (answer.httpStatus === 401) answer.headers['www-authenticate'] = 'Bearer realm="wrenn"';
  return answer;
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

function rawAnswer({ contentType, data }: HttpBody): Answer {
  return {
    httpStatus: 200,
    contentType: MEDIA_TYPE.test(contentType) ? contentType : 'application/octet-stream',
    headers: {},
    body: data,
  };
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
