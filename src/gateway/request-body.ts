/**
 * The body of a request by its content type: JSON, a form, or nothing. What it
 * means for the message is the business of bind-request.ts.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { type JsonObject, ScalarType } from '@bufbuild/protobuf';
import { Code, WrennError } from '../../lib/errors/index.js';
import { type BodyBound, bodyChunks, hasBody, type IncomingBody, readBody } from './body-stream.js';
import { type Form, readForm } from './form.js';
import { type ExactJson, JsonTextError, parseJsonText } from './json-text.js';
import { type GatewayLimits, MESSAGE_BYTES_MAX } from './limits.js';
import { FORM_TYPE, mediaTypeOf, refuseEncoded, unsupportedMediaType } from './media-type.js';
import type { Route } from './route-table.js';

export type ParsedBody =
  | { kind: 'empty' }
  | { kind: 'json'; json: ExactJson }
  | { kind: 'form'; form: Form }
  /** Fields that stood before the content of an upload, in the query or a form. */
  | { kind: 'fields'; json: JsonObject; contentType: string }
  | { kind: 'raw'; contentType: string; data: Buffer };

type BodyLimits = Pick<
  GatewayLimits,
  'jsonBodyBytesMax' | 'jsonBodyWithBytesMax' | 'formBodyBytesMax' | 'requestTimeoutMs'
>;

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json$/;

/** Reads and parses the body for a route. */
export async function parseBody(
  body: IncomingBody,
  route: Route,
  limits: BodyLimits,
): Promise<ParsedBody> {
  const { headers } = body.request;
  refuseEncoded(headers);
  const bound = { bytesMax: MESSAGE_BYTES_MAX, timeoutMs: limits.requestTimeoutMs };
  if (route.body.kind === 'none') return refuseBody(body, bound);
  if (!hasBody(headers)) return { kind: 'empty' };
  if (route.body.kind === 'raw') {
    const contentType = headers['content-type'] ?? '';
    return { kind: 'raw', contentType, data: await readBody(body, bound) };
  }
  const mediaType = mediaTypeOf(headers);
  if (mediaType === FORM_TYPE && route.body.kind === 'message') {
    const chunks = bodyChunks(body, { ...bound, bytesMax: limits.formBodyBytesMax });
    return { kind: 'form', form: await readForm(route.input, headers, chunks) };
  }
  const bytes = await readBody(body, { ...bound, bytesMax: jsonLimit(route, limits) });
  if (bytes.length === 0) return { kind: 'empty' };
  refuseUnlessJson(headers, mediaType);
  return { kind: 'json', json: parseJson(bytes) };
}

/** A method without a body rule gets none: what it held would be ignored in silence. */
async function refuseBody(body: IncomingBody, bound: BodyBound): Promise<ParsedBody> {
  if (!hasBody(body.request.headers)) return { kind: 'empty' };
  try {
    await readBody(body, { ...bound, bytesMax: 0 });
    return { kind: 'empty' };
  } catch (cause) {
    if (!(cause instanceof WrennError)) throw cause;
    throw new WrennError(
      Code.INVALID_ARGUMENT,
      'INVALID_REQUEST',
      'this route takes no body; write fields as query parameters',
      { cause },
    );
  }
}

function refuseUnlessJson(headers: IncomingHttpHeaders, mediaType: string): void {
  if (!JSON_TYPE.test(mediaType)) {
    throw unsupportedMediaType('send the body as content-type: application/json');
  }
  const charset = /;\s*charset="?([^";\s]*)/i.exec(headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && charset.toLowerCase() !== 'utf-8') {
    throw unsupportedMediaType('send the body in UTF-8');
  }
}

/** Base64 makes bytes longer, so messages that hold bytes have a larger limit. */
function jsonLimit(route: Route, limits: BodyLimits): number {
  const holdsBytes = route.input.fields.some(({ scalar }) => scalar === ScalarType.BYTES);
  return holdsBytes ? limits.jsonBodyWithBytesMax : limits.jsonBodyBytesMax;
}

function parseJson(bytes: Buffer): ExactJson {
  try {
    return parseJsonText(bytes);
  } catch (cause) {
    if (!(cause instanceof JsonTextError)) throw cause;
    throw new WrennError(Code.INVALID_ARGUMENT, 'INVALID_JSON', cause.message);
  }
}
