/**
 * The body of a client stream: a raw one, which is the content from its first
 * byte on, or multipart/form-data, whose fields come first and then the content.
 */
import type { DescField, JsonObject } from '@bufbuild/protobuf';
import { bodyTooLarge, endlessChunks, hasBody, type IncomingBody } from './body-stream.js';
import { findField } from './field-path.js';
import { decodePart, type FormPart, FormReader, invalidForm } from './form-reader.js';
import { FORM_FIELDS_BYTES_MAX, type GatewayLimits, UPLOAD_PIECE_BYTES_MAX } from './limits.js';
import { FORM_TYPE, mediaTypeOf, refuseEncoded } from './media-type.js';
import { putTextAt, queryToJson } from './query.js';
import type { Route } from './route-table.js';

export interface UploadBody {
  /** The fields that stand in the query and in parts of a form. */
  fields: JsonObject;
  contentType: string;
  /** The content, in pieces of a bounded size. */
  pieces: AsyncIterable<Buffer>;
  /** Stops reading the body. */
  close(): void;
}

type UploadLimits = Pick<GatewayLimits, 'requestTimeoutMs' | 'uploadStallTimeoutMs'>;

/**
 * Reads all that stands before the content; throws INVALID_ARGUMENT. That has to
 * arrive as any other body; the content only has to make progress.
 */
export async function openUploadBody(
  body: IncomingBody,
  route: Route,
  query: string,
  { requestTimeoutMs, uploadStallTimeoutMs }: UploadLimits,
): Promise<UploadBody> {
  const { headers } = body.request;
  refuseEncoded(headers);
  const fields = queryToJson(route, query);
  const endsAt = performance.now() + requestTimeoutMs;
  let isOpen = false;
  const chunks = endlessChunks(body, () =>
    isOpen ? uploadStallTimeoutMs : Math.min(uploadStallTimeoutMs, endsAt - performance.now()),
  );
  if (mediaTypeOf(headers) === FORM_TYPE && contentFieldOf(route)) {
    const form = await openForm(new FormReader(headers, chunks), route, fields);
    isOpen = true;
    return form;
  }
  isOpen = true;
  return {
    fields,
    contentType: headers['content-type'] ?? '',
    pieces: hasBody(headers) ? cut(chunks) : cut([]),
    close: () => undefined,
  };
}

async function openForm(reader: FormReader, route: Route, fields: JsonObject): Promise<UploadBody> {
  const close = () => reader.close();
  try {
    const file = await readFields(reader, route, fields);
    const pieces = file ? contentOf(file, reader) : cut([]);
    return { fields, contentType: file?.contentType ?? '', pieces, close };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * Puts the fields of a form where those of the query are.
 * @returns the part that holds the content, or undefined when there is none.
 */
async function readFields(
  reader: FormReader,
  route: Route,
  fields: JsonObject,
): Promise<FormPart | undefined> {
  const { input } = route;
  const contentField = contentFieldOf(route);
  let bytes = 0;
  for (let part = await reader.next(); part; part = await reader.next()) {
    const { name } = part;
    if (contentField && findField(input, name) === contentField) return part;
    const chunks: Buffer[] = [];
    for await (const chunk of part.content) {
      bytes += chunk.length;
      if (bytes > FORM_FIELDS_BYTES_MAX) throw bodyTooLarge(FORM_FIELDS_BYTES_MAX);
      chunks.push(chunk);
    }
    putTextAt(input, fields, name, decodePart(name, Buffer.concat(chunks)), () => false);
  }
  return undefined;
}

/** The field that takes the content; undefined when the message itself does. */
function contentFieldOf({ body }: Route): DescField | undefined {
  return body.kind === 'raw' ? body.field : undefined;
}

/** The content of a form's file, which must be its last part. */
async function* contentOf(file: FormPart, reader: FormReader): AsyncGenerator<Buffer> {
  yield* cut(file.content);
  const after = await reader.next();
  if (after) throw invalidForm(after.name, 'no part may stand behind the content');
}

async function* cut(chunks: AsyncIterable<Buffer> | Buffer[]): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += UPLOAD_PIECE_BYTES_MAX) {
      yield chunk.subarray(start, start + UPLOAD_PIECE_BYTES_MAX);
    }
  }
}
