/** Protobuf by hand: fields of any content, and bytes that are no message at all. */
import { create, type DescField, type DescMessage, ScalarType, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** Nesting that no reader may follow by recursion. */
const GROUPS = 15_000;

/** The place of a value in a message: fields from the outside in. The last one may be a map or a list. */
export type FieldPath = readonly DescField[];

/** A path as the errors write it, without indices and keys. */
export function nameOf(path: FieldPath): string {
  return path.map(({ name }) => name).join('.');
}

/** A message's bytes and behind them a string, or bytes, in a field that they may hold already: the last one counts. */
export function withContent(base: Uint8Array, path: FieldPath, content: Uint8Array): Buffer {
  return Buffer.concat([base, nested(path, delimited(1, content), content)]);
}

/** The same with an entry of a map. */
export function withEntry(
  base: Uint8Array,
  path: FieldPath,
  key: Uint8Array,
  value: Uint8Array,
): Buffer {
  const entry = Buffer.concat([delimited(1, key), delimited(2, value)]);
  return Buffer.concat([base, nested(path, entry, entry)]);
}

/** The same with a number, as the field's own type writes it; negative and fractional ones too. */
export function withNumber(base: Uint8Array, path: FieldPath, value: number): Buffer {
  const field = path.at(-1);
  if (!field) throw new Error('a path has a field');
  const writer = new BinaryWriter();
  if (field.scalar === ScalarType.DOUBLE) {
    writer.tag(field.number, WireType.Bit64).double(value);
  } else {
    const isInt64 = Number.isFinite(value) && Math.abs(value) < 2 ** 63;
    writer.tag(field.number, WireType.Varint).int64(BigInt(isInt64 ? Math.trunc(value) : 0));
  }
  return Buffer.concat([base, wrapped(path.slice(0, -1), Buffer.from(writer.finish()))]);
}

function nested(path: FieldPath, mapEntry: Buffer, content: Uint8Array): Buffer {
  const field = path.at(-1);
  if (!field) throw new Error('a path has a field');
  const bytes = field.fieldKind === 'map' ? mapEntry : Buffer.from(content);
  return wrapped(path.slice(0, -1), delimited(field.number, bytes));
}

/** A field inside the messages that lead to it. */
function wrapped(parents: FieldPath, inner: Buffer): Buffer {
  return parents.reduceRight((bytes, { number }) => delimited(number, bytes), inner);
}

export function delimited(number: number, content: Uint8Array): Buffer {
  return Buffer.from(
    new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(content).finish(),
  );
}

/** Bytes that no UTF-8 text holds. */
export const INVALID_UTF8: readonly Buffer[] = [
  ...[
    'ff',
    'fe',
    '80',
    'bf',
    'c0',
    'c080',
    'c1bf',
    'c3',
    'c328',
    'e28028',
    'e280',
    'e08080',
    'e0809f',
  ],
  ...[
    'eda080',
    'edbfbf',
    'eda080edb080',
    'f08080af',
    'f0288cbc',
    'f4908080',
    'f5808080',
    'f880808080',
  ],
  ...[
    'fc8080808080',
    'fffe',
    'feff',
    '2fc0ae2e',
    '61ff62',
    '2f746d702f80',
    '00ff',
    'ffffffffffffffff',
  ],
].map((hex) => Buffer.from(hex, 'hex'));

/** What is no message of any type, or none of this one. */
export function malformedMessages(input: DescMessage): [name: string, bytes: Buffer][] {
  const empty = Buffer.from(toBinary(input, create(input)));
  return [
    ['a cut tag', Buffer.from([0x80])],
    ['a tag without end', Buffer.alloc(11, 0xff)],
    ['field number zero', Buffer.from([0x00, 0x00])],
    ['an unknown wire type', Buffer.from([0x0f, 0x01])],
    ['another unknown wire type', Buffer.from([0x0e, 0x01])],
    ['a cut length', Buffer.concat([empty, Buffer.from([0xfa, 0x01, 0x80])])],
    ['a length beyond the end', Buffer.from([0x0a, 0x7f, 0x61])],
    ['a length of 4 GiB', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f])],
    [
      'a negative length',
      Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
    ],
    ['the end of a group that never began', Buffer.from([0x0c])],
    ['a group that never ends', Buffer.from([0x9b, 0x06])],
    ['groups too deep', Buffer.concat([groups(0x9b), groups(0x9c)])],
    ['groups that never end', groups(0x9b)],
    ['a varint of eleven bytes', Buffer.from([0xf8, 0x06, ...Array<number>(11).fill(0x80)])],
    ['text', Buffer.from('{"sandbox_id":"x"}')],
    ['noise', Buffer.from('deadbeefcafebabe0123456789abcdef', 'hex')],
  ];
}

/** The first or last bytes of a group of an unknown field, many times. */
function groups(tag: number): Buffer {
  return Buffer.alloc(GROUPS * 2, Buffer.from([tag, 0x06]));
}
