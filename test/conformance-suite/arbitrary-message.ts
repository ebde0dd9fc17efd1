/** Random messages of any type, for tests of what a codec does with them. */
import {
  create,
  type DescField,
  type DescMessage,
  type DescOneof,
  fromJson,
  type JsonValue,
  type Message,
  type MessageInitShape,
  ScalarType,
} from '@bufbuild/protobuf';
import { anyPack, isWrapperDesc, ValueSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';

type Arbitrary = fc.Arbitrary<unknown>;

const ITEMS_MAX = 3;
const INT64_MAX = 2n ** 63n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;
const UINT32_MAX = 2 ** 32 - 1;
const INT32_MAX = 2 ** 31 - 1;
const DURATION_SECONDS_MAX = 315_576_000_000n;
/** The years 1 to 9999. */
const TIMESTAMP_SECONDS = { min: -62_135_596_800n, max: 253_402_300_799n };
const NANOS_MAX = 999_999_999;

/** Each field is absent or has any value that it can have; messages nest to `depth`. */
export function arbitraryMessage(descriptor: DescMessage, depth: number): fc.Arbitrary<Message> {
  return arbitraryFields(descriptor, depth).map((fields) =>
    create(descriptor, fields as MessageInitShape<DescMessage>),
  );
}

function arbitraryFields(descriptor: DescMessage, depth: number): Arbitrary {
  const members: Record<string, Arbitrary> = {};
  for (const member of descriptor.members) {
    const arbitrary =
      member.kind === 'oneof' ? arbitraryOneof(member, depth) : arbitraryField(member, depth);
    if (arbitrary) members[member.localName] = arbitrary;
  }
  return fc.record(members, { requiredKeys: [], noNullPrototype: true });
}

function arbitraryOneof(oneof: DescOneof, depth: number): Arbitrary {
  const choices = oneof.fields.flatMap((field) => {
    const value = arbitraryField(field, depth);
    return value ? [fc.record({ case: fc.constant(field.localName), value })] : [];
  });
  return fc.oneof(...choices);
}

/** Undefined for a message that would nest too deep. */
function arbitraryField(field: DescField, depth: number): Arbitrary | undefined {
  const item = arbitraryItem(field, depth);
  if (!item || field.fieldKind === 'scalar' || field.fieldKind === 'enum') return item;
  if (field.fieldKind === 'list') return fc.array(item, { maxLength: ITEMS_MAX });
  if (field.fieldKind === 'message') return item;
  const keys = arbitraryScalar(field.mapKey).map(String);
  return fc.dictionary(keys, item, { maxKeys: ITEMS_MAX, noNullPrototype: true });
}

function arbitraryItem(field: DescField, depth: number): Arbitrary | undefined {
  if (field.scalar !== undefined) return arbitraryScalar(field.scalar);
  if (field.enum) {
    const named = fc.constantFrom(...field.enum.values.map(({ number }) => number));
    const isOpen = field.enum.open && field.enum.typeName !== 'google.protobuf.NullValue';
    return isOpen ? fc.oneof(named, fc.integer()) : named;
  }
  if (!field.message) return undefined;
  const isPlain = field.fieldKind === 'message';
  if (isWrapperDesc(field.message)) {
    const value = arbitraryScalar(field.message.fields[0].scalar);
    // The library holds a wrapper that is a field of its own as its bare value.
    return isPlain ? value : value.map((inner) => ({ value: inner }));
  }
  const wellKnown = arbitraryWellKnown(field.message.typeName);
  if (wellKnown) return wellKnown;
  return depth > 0 ? arbitraryFields(field.message, depth - 1) : undefined;
}

function arbitraryScalar(scalar: ScalarType): Arbitrary {
  switch (scalar) {
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.STRING:
      return fc.string({ unit: 'binary', maxLength: 20 });
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 20 });
    case ScalarType.DOUBLE:
      return fc.double().map(withoutNegativeZero);
    case ScalarType.FLOAT:
      return fc.float().map(withoutNegativeZero);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return fc.integer({ min: 0, max: UINT32_MAX });
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return fc.bigInt({ min: 0n, max: UINT64_MAX });
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return fc.bigInt({ min: -INT64_MAX - 1n, max: INT64_MAX });
    default:
      return fc.integer({ min: -INT32_MAX - 1, max: INT32_MAX });
  }
}

/** The types whose fields hang together, so that not each value of each field will do. */
function arbitraryWellKnown(typeName: string): Arbitrary | undefined {
  const json = () => fc.jsonValue({ maxDepth: 3 }).map(asWritten);
  const object = () =>
    fc.dictionary(fc.string(), json(), { maxKeys: ITEMS_MAX, noNullPrototype: true });
  switch (typeName) {
    case 'google.protobuf.Timestamp':
      return fc.record({ seconds: fc.bigInt(TIMESTAMP_SECONDS), nanos: fc.nat(NANOS_MAX) });
    case 'google.protobuf.Duration':
      return arbitraryDuration();
    case 'google.protobuf.FieldMask': {
      const paths = fc.array(fc.constantFrom('a', 'foo_bar', 'a.b_c', 'x.y.z'), {
        maxLength: ITEMS_MAX,
      });
      return fc.record({ paths });
    }
    case 'google.protobuf.Struct':
      return object();
    case 'google.protobuf.Value':
      return json().map((value) => fromJson(ValueSchema, value));
    case 'google.protobuf.ListValue':
      return fc.record({
        values: fc.array(
          json().map((value) => fromJson(ValueSchema, value)),
          { maxLength: ITEMS_MAX },
        ),
      });
    case 'google.protobuf.Any':
      return json().map((value) => {
        return anyPack(ValueSchema, fromJson(ValueSchema, value));
      });
    default:
      return undefined;
  }
}

function arbitraryDuration(): Arbitrary {
  return fc
    .record({
      seconds: fc.bigInt({ min: 0n, max: DURATION_SECONDS_MAX }),
      nanos: fc.nat(NANOS_MAX),
      isNegative: fc.boolean(),
    })
    .map(({ seconds, nanos, isNegative }) => ({
      seconds: isNegative ? -seconds : seconds,
      // Without the addition the negation of 0 would be -0.
      nanos: isNegative ? 0 - nanos : nanos,
    }));
}

/** JSON.stringify writes -0 as 0, so that it would come back as another value. */
function withoutNegativeZero(value: number): number {
  return value === 0 ? 0 : value;
}

/** The same of a whole value. */
function asWritten(json: unknown): JsonValue {
  return JSON.parse(JSON.stringify(json));
}
