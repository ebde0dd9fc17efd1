/** Schemas of the types to which the proto3 JSON mapping gives a form of their own. */
import { type DescMessage, type JsonObject, ScalarType } from '@bufbuild/protobuf';

export type Schema = JsonObject;

const PREFIX = 'google.protobuf.';

const INTEGER_64_BIT: Schema = { type: 'string', format: 'int64', pattern: '^-?[0-9]+$' };
const UNSIGNED_64_BIT: Schema = { type: 'string', format: 'uint64', pattern: '^[0-9]+$' };
const INTEGER_32_BIT: Schema = { type: 'integer', format: 'int32' };
const UNSIGNED_32_BIT: Schema = { type: 'integer', minimum: 0, maximum: 4294967295 };

/**
 * Floating point is `number`. The mapping also has the strings NaN, Infinity
 * and -Infinity, which no field of Wrenn holds: saying so would cost every
 * client a union type.
 */
const SCALARS: Record<ScalarType, Schema> = {
  [ScalarType.DOUBLE]: { type: 'number', format: 'double' },
  [ScalarType.FLOAT]: { type: 'number', format: 'float' },
  [ScalarType.INT64]: INTEGER_64_BIT,
  [ScalarType.SINT64]: INTEGER_64_BIT,
  [ScalarType.SFIXED64]: INTEGER_64_BIT,
  [ScalarType.UINT64]: UNSIGNED_64_BIT,
  [ScalarType.FIXED64]: UNSIGNED_64_BIT,
  [ScalarType.INT32]: INTEGER_32_BIT,
  [ScalarType.SINT32]: INTEGER_32_BIT,
  [ScalarType.SFIXED32]: INTEGER_32_BIT,
  [ScalarType.UINT32]: UNSIGNED_32_BIT,
  [ScalarType.FIXED32]: UNSIGNED_32_BIT,
  [ScalarType.BOOL]: { type: 'boolean' },
  [ScalarType.STRING]: { type: 'string' },
  [ScalarType.BYTES]: { type: 'string', format: 'byte', contentEncoding: 'base64' },
};

const MESSAGES: Record<string, Schema> = {
  Timestamp: { type: 'string', format: 'date-time' },
  Duration: { type: 'string', pattern: '^-?[0-9]+(\\.[0-9]{1,9})?s$' },
  FieldMask: { type: 'string', description: 'Names of fields in camel case, with commas.' },
  Struct: { type: 'object', additionalProperties: true },
  Value: {},
  ListValue: { type: 'array', items: {} },
  Empty: { type: 'object', additionalProperties: false },
  Any: {
    type: 'object',
    properties: { '@type': { type: 'string' } },
    required: ['@type'],
    additionalProperties: true,
  },
};

/** Bytes as they are, without base64. */
export const RAW_BYTES: Schema = {
  type: 'string',
  format: 'binary',
  contentMediaType: 'application/octet-stream',
};

export function scalarSchema(scalar: ScalarType): Schema {
  return { ...SCALARS[scalar] };
}

/** The schema of a well-known type; undefined for any other message. */
export function wellKnownSchema(message: DescMessage): Schema | undefined {
  if (!message.typeName.startsWith(PREFIX)) return undefined;
  const name = message.typeName.slice(PREFIX.length);
  const [value] = message.fields;
  if (/^[A-Z]\w*Value$/.test(name) && value?.name === 'value' && value.scalar !== undefined) {
    const schema = scalarSchema(value.scalar);
    return { ...schema, type: [schema.type as string, 'null'] };
  }
  const schema = MESSAGES[name];
  return schema && { ...schema };
}
