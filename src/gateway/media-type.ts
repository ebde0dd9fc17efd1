/** What the headers say of a body. */
import type { IncomingHttpHeaders } from 'node:http';
import { Code, WrennError } from '../../lib/errors/index.js';

export const FORM_TYPE = 'multipart/form-data';

/** The media type in lower case, without its parameters. */
export function mediaTypeOf(headers: IncomingHttpHeaders): string {
  const [mediaType = ''] = (headers['content-type'] ?? '').split(';');
  return mediaType.trim().toLowerCase();
}

/** Throws for a compressed body: what it unfolds to nobody has counted. */
export function refuseEncoded(headers: IncomingHttpHeaders): void {
  const transfer = headers['transfer-encoding'];
  // Node undoes the last of several codings only, and hands on what is still encoded.
  if (transfer !== undefined && transfer.trim().toLowerCase() !== 'chunked') {
    throw unsupportedMediaType('send the body with no transfer-encoding but chunked');
  }
  const encoding = headers['content-encoding'];
  if (encoding === undefined || encoding.toLowerCase() === 'identity') return;
  throw unsupportedMediaType('send the body without content-encoding');
}

export function unsupportedMediaType(message: string): WrennError {
  return new WrennError(Code.INVALID_ARGUMENT, 'UNSUPPORTED_MEDIA_TYPE', message);
}
