/**
 * The body of a request by its content type: JSON, a form, or nothing. What it
 * means for the message is the business of bind-request.ts.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { ScalarType } from '@bufbuild/protobuf';
import { Code, WrennError } from '../../lib/errors/index.js';
import { bodyChunks, hasBody, type IncomingBody, readBody } from './body-stream.js';
import { type ExactJson, JsonTextError, parseJsonText } from './json-text.js';
import type { GatewayLimits } from './limits.js';
import { type Form, readForm } from './multipart.js';
import type { Route } from './route-table.js';

export type ParsedBody =
  | { kind: 'empty' }
  | { kind: 'json'; json: ExactJson }
  | { kind: 'form'; form: Form };

type BodyLimits = Pick<
  GatewayLimits,
  'jsonBodyBytesMax' | 'jsonBodyWithBytesMax' | 'formBodyBytesMax'
>;

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json$/;
const FORM_TYPE = 'multipart/form-data';

/** Reads and parses the body for a route. */
export async function parseBody(
  body: IncomingBody,
  route: Route,
  limits: BodyLimits,
): Promise<ParsedBody> {
  const { headers } = body.request;
  refuseEncoded(headers);
  if (route.body.kind === 'none') return refuseBody(body);
  if (!hasBody(headers)) return { kind: 'empty' };
  const mediaType = mediaTypeOf(headers);
  if (mediaType === FORM_TYPE && route.body.kind === 'message') {
    const chunks = bodyChunks(body, limits.formBodyBytesMax);
    return { kind: 'form', form: await readForm(route.input, headers, chunks) };
  }
  const bytes = await readBody(body, jsonLimit(route, limits));
  if (bytes.length === 0) return { kind: 'empty' };
  refuseUnlessJson(headers, mediaType);
  return { kind: 'json', json: parseJson(bytes) };
}

/** A method without a body rule gets none: what it held would be ignored in silence. */
async function refuseBody(body: IncomingBody): Promise<ParsedBody> {
  if (!hasBody(body.request.headers)) return { kind: 'empty' };
  try {
    await readBody(body, 0);
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

function refuseEncoded(headers: IncomingHttpHeaders): void {
  const encoding = headers['content-encoding'];
  if (encoding === undefined || encoding.toLowerCase() === 'identity') return;
  throw unsupported('send the body without content-encoding');
}

function mediaTypeOf(headers: IncomingHttpHeaders): string {
  const [mediaType = ''] = (headers['content-type'] ?? '').split(';');
  return mediaType.trim().toLowerCase();
}

function refuseUnlessJson(headers: IncomingHttpHeaders, mediaType: string): void {
  if (!JSON_TYPE.test(mediaType)) {
    throw unsupported('send the body as content-type: application/json');
  }
  const charset = /;\s*charset="?([^";\s]*)/i.exec(headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && charset.toLowerCase() !== 'utf-8') {
    throw unsupported('send the body in UTF-8');
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

function unsupported(message: string): WrennError {
  return new WrennError(Code.INVALID_ARGUMENT, 'UNSUPPORTED_MEDIA_TYPE', message);
}
