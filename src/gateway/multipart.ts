/**
 * multipart/form-data for any route whose message is the body. A part is named
 * after a field: a bytes field takes the part's bytes as they are, any other
 * field its text. Parts are read as they arrive; what is kept of them is bounded
 * by the limit of the form's body, and no file touches the disk.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type DescField, type DescMessage, type JsonObject, ScalarType } from '@bufbuild/protobuf';
import { Busboy, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy';
import { Code, WrennError } from '../../lib/errors/index.js';
import { findField } from './field-path.js';
import { PARAMETERS_MAX } from './limits.js';
import { putTextAt } from './query.js';

export interface Form {
  /** The fields that parts hold as text. */
  json: JsonObject;
  /** The fields that parts hold as bytes. */
  files: Map<DescField, Buffer>;
}

interface Part {
  name: string;
  content: Buffer;
}

const PART_HEADER_BYTES_MAX = 4096;
const PART_HEADER_PAIRS_MAX = 16;
const PLAIN_ENCODINGS = new Set(['7bit', '8bit', 'binary']);

/** Reads a form; throws INVALID_ARGUMENT for one that is malformed or names no field. */
export async function readForm(
  input: DescMessage,
  headers: IncomingHttpHeaders,
  chunks: AsyncIterable<Buffer>,
): Promise<Form> {
  const form: Form = { json: {}, files: new Map() };
  for (const { name, content } of await readParts(headers, chunks)) {
    const field = findField(input, name);
    if (field?.fieldKind === 'scalar' && field.scalar === ScalarType.BYTES) {
      if (form.files.has(field)) throw invalid(name, 'set more than once');
      form.files.set(field, content);
    } else {
      putTextAt(input, form.json, name, decodeText(name, content), () => false);
    }
  }
  return form;
}

async function readParts(
  headers: IncomingHttpHeaders,
  chunks: AsyncIterable<Buffer>,
): Promise<Part[]> {
  const parser = createParser(headers);
  const parts: Promise<Part>[] = [];
  let hasTooManyParts = false;
  parser.on('file', (name: string | undefined, content, _filename, encoding) => {
    const part = readPart(name, content, encoding);
    // A part that fails does so before anybody waits for it.
    part.catch(() => undefined);
    parts.push(part);
  });
  parser.on('partsLimit', () => {
    hasTooManyParts = true;
  });
  try {
    await pipeline(chunks, parser);
  } catch (cause) {
    throw isMalformedForm(cause) ? invalid('', 'the form is malformed', cause) : cause;
  }
  if (hasTooManyParts) throw invalid('', `the form holds more than ${PARAMETERS_MAX} parts`);
  return Promise.all(parts);
}

function createParser(headers: IncomingHttpHeaders): BusboyInstance {
  try {
    return new Busboy({
      headers: headers as BusboyHeaders,
      // Every part is read as bytes; its field says what they mean.
      isPartAFile: () => true,
      limits: {
        parts: PARAMETERS_MAX,
        headerSize: PART_HEADER_BYTES_MAX,
        headerPairs: PART_HEADER_PAIRS_MAX,
      },
    });
  } catch (cause) {
    throw invalid('', 'the form has no boundary', cause);
  }
}

async function readPart(
  name: string | undefined,
  content: Readable,
  encoding: string,
): Promise<Part> {
  const chunks: Buffer[] = [];
  for await (const chunk of content as AsyncIterable<Buffer>) chunks.push(chunk);
  if (!name) throw invalid('', 'a part of the form has no name');
  if (!PLAIN_ENCODINGS.has(encoding)) throw invalid(name, 'send the part as it is, not encoded');
  return { name, content: Buffer.concat(chunks) };
}

/** What the parser itself throws is no WrennError, and carries no system error code. */
function isMalformedForm(cause: unknown): boolean {
  return !(cause instanceof WrennError) && (cause as NodeJS.ErrnoException).code === undefined;
}

function decodeText(name: string, content: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch (cause) {
    throw invalid(name, 'the part is not UTF-8', cause);
  }
}

function invalid(field: string, description: string, cause?: unknown): WrennError {
  return new WrennError(
    Code.INVALID_ARGUMENT,
    'INVALID_REQUEST',
    field === '' ? description : `${field}: ${description}`,
    { violations: field === '' ? [] : [{ field, description, rule: 'form' }], cause },
  );
}
