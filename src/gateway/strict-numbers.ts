/**
 * Numbers that the JSON library would take but that do not say exactly what
 * they mean: strings such as `" 1"` or `"0x1"`, and bare 64-bit integers that
 * JSON.parse has rounded already.
 */
import { type DescField, type DescMessage, type JsonValue, ScalarType } from '@bufbuild/protobuf';
import { findField } from './field-path.js';

export interface InexactNumber {
  /** Path of the field, such as `limits.size_bytes`. */
  field: string;
  description: string;
}

const DECIMAL = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const NOT_FINITE = new Set(['NaN', 'Infinity', '-Infinity']);
const FLOATS = new Set([ScalarType.DOUBLE, ScalarType.FLOAT]);
const INTEGERS_64_BIT = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);
const NOT_NUMBERS = new Set([ScalarType.BOOL, ScalarType.STRING, ScalarType.BYTES]);

/** The first such number in a JSON value for a message, or undefined. */
export function findInexactNumber(
  descriptor: DescMessage,
  json: JsonValue,
): InexactNumber | undefined {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined;
  for (const [name, value] of Object.entries(json)) {
    const field = findField(descriptor, name);
    const found = field && inField(field, value);
    if (found) return found;
  }
  return undefined;
}

function inField(field: DescField, json: JsonValue): InexactNumber | undefined {
  for (const value of valuesOf(field, json)) {
    if (field.scalar !== undefined) {
      const description = describeInexact(field.scalar, value);
      if (description) return { field: field.name, description };
    } else if (field.message) {
      const found = findInexactNumber(field.message, value);
      if (found) return { ...found, field: `${field.name}.${found.field}` };
    }
  }
  return undefined;
}

function valuesOf(field: DescField, json: JsonValue): JsonValue[] {
  if (field.fieldKind === 'list') return Array.isArray(json) ? json : [];
  if (field.fieldKind !== 'map') return [json];
  return typeof json === 'object' && json !== null ? Object.values(json) : [];
}

function describeInexact(scalar: ScalarType, json: JsonValue): string | undefined {
  if (NOT_NUMBERS.has(scalar)) return undefined;
  if (typeof json === 'string') {
    if (DECIMAL.test(json) || (FLOATS.has(scalar) && NOT_FINITE.has(json))) return undefined;
    return 'expected a decimal number';
  }
  if (typeof json === 'number' && INTEGERS_64_BIT.has(scalar) && !Number.isSafeInteger(json)) {
    return 'write an integer of this size as a string';
  }
  return undefined;
}
