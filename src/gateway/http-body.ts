/**
 * google.api.HttpBody: content that HTTP carries as it is. On the wire a message
 * is its parts one after the other, so content is put behind the other fields.
 */
import type { DescField } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { HttpBody } from '../../gen/ts/google/api/httpbody.js';

export interface Content {
  contentType: string;
  data: Buffer;
}

const MEDIA_TYPE = /^[\w.+-]+\/[\w.+-]+(?:;[\x20-\x7e]*)?$/;
const ANY_TYPE = 'application/octet-stream';

/** A message, or the end of one, that holds nothing but content */
export function encodeContent(field: DescField | undefined, content: Content): Uint8Array {
  const bytes = HttpBody.encode({ ...content, extensions: [] }).finish();
  if (!field) return bytes;
  return new BinaryWriter().tag(field.number, WireType.LengthDelimited).bytes(bytes).finish();
}

/** The content of an answer, or of its field, with a media type that a header may hold. */
export function decodeContent(field: DescField | undefined, bytes: Buffer): Content {
  const { contentType, data } = HttpBody.decode(field ? bytesOfField(field, bytes) : bytes);
  return { contentType: MEDIA_TYPE.test(contentType) ? contentType : ANY_TYPE, data };
}

/** The encoded value of a message field, all its occurrences merged. */
function bytesOfField({ number }: DescField, message: Buffer): Uint8Array {
  const reader = new BinaryReader(message);
  const parts: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === number && wireType === WireType.LengthDelimited) parts.push(reader.bytes());
    else reader.skip(wireType, field);
  }
  return Buffer.concat(parts);
}
