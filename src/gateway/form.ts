/**
 * multipart/form-data for a route whose message is the body. A part is named
 * after a field: a bytes field takes the part's bytes as they are, any other
 * field its text. What is kept is bounded by the limit of the form's body.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { type DescField, type DescMessage, type JsonObject, ScalarType } from '@bufbuild/protobuf';
import { findField } from './field-path.js';
import { decodePart, FormReader, invalidForm } from './form-reader.js';
import { putTextAt } from './query.js';

export interface Form {
  /** The fields that parts hold as text. */
  json: JsonObject;
  /** The fields that parts hold as bytes. */
  files: Map<DescField, Buffer>;
}

/** Reads a form; throws INVALID_ARGUMENT for one that is malformed or names no field. */
export async function readForm(
  input: DescMessage,
  headers: IncomingHttpHeaders,
  chunks: AsyncIterable<Buffer>,
): Promise<Form> {
  const form: Form = { json: {}, files: new Map() };
  const reader = new FormReader(headers, chunks);
  try {
    for (let part = await reader.next(); part; part = await reader.next()) {
      const { name } = part;
      const content = await readPart(part.content);
      const field = findField(input, name);
      if (field?.fieldKind === 'scalar' && field.scalar === ScalarType.BYTES) {
        if (form.files.has(field)) throw invalidForm(name, 'set more than once');
        form.files.set(field, content);
      } else {
        putTextAt(input, form.json, name, decodePart(name, content), () => false);
      }
    }
  } finally {
    reader.close();
  }
  return form;
}

async function readPart(content: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}
