/**
 * Numbers as the fields of a message take them: an integer of 64 bits exactly,
 * whether it is written bare or as a string, and no string that is not plainly
 * a decimal number, such as `" 1"` or `"0x1"`, which the JSON library would
 * take.
 */
import {
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  type Registry,
  ScalarType,
} from '@bufbuild/protobuf';
import { hasCustomJsonRepresentation, isWrapperDesc } from '@bufbuild/protobuf/wkt';
import { findField } from './field-path.js';
import type { ExactJson } from './json-text.js';

/** A number that does not say exactly what it means. */
export class NumberError extends Error {
  /** Path of the field, such as `limits.size_bytes`; empty when the message itself is a number. */
  readonly field: string;

  constructor(field: string, description: string) {
    super(description);
    this.field = field;
  }
}

type ExactObject = { [key: string]: ExactJson };

const DECIMAL = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const INTEGER = /^-?(?:0|[1-9]\d*)$/;
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
const ANY = 'google.protobuf.Any';

/**
 * The JSON of a message with every number as its field takes it. What else may
 * be wrong with it is left to the JSON library.
 * @param registry the messages that an Any may hold.
 * @throws NumberError
 */
export function settleNumbers(
  descriptor: DescMessage,
  json: ExactJson,
  registry: Registry,
): JsonValue {
  return new NumberSettler(registry).inMessage(descriptor, json, '');
}

class NumberSettler {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  inMessage(message: DescMessage, json: ExactJson, path: string): JsonValue {
    if (isWrapperDesc(message)) return inScalar(message.fields[0].scalar, json, path);
    if (!isObject(json)) return toNearest(json);
    if (message.typeName === ANY) return this.#inAny(json, path);
    if (hasCustomJsonRepresentation(message)) return toNearest(json);
    return mapMembers(json, (name, value) => {
      const field = findField(message, name);
      return field ? this.#inField(field, value, join(path, field.name)) : toNearest(value);
    });
  }

  /** The content's members beside its type, or its one value if JSON writes it as such. */
  #inAny(json: ExactObject, path: string): JsonValue {
    const { '@type': type, ...rest } = json;
    if (typeof type !== 'string') return toNearest(json);
    const content = this.#registry.getMessage(type.slice(type.lastIndexOf('/') + 1));
    if (!content) return toNearest(json);
    if (!hasCustomJsonRepresentation(content)) {
      return { '@type': type, ...(this.inMessage(content, rest, path) as JsonObject) };
    }
    return mapMembers(json, (name, value) =>
      name === 'value' ? this.inMessage(content, value, join(path, name)) : toNearest(value),
    );
  }

  #inField(field: DescField, json: ExactJson, path: string): JsonValue {
    if (field.fieldKind === 'list') {
      if (!Array.isArray(json)) return toNearest(json);
      return json.map((item) => this.#inItem(field, item, path));
    }
    if (field.fieldKind !== 'map') return this.#inItem(field, json, path);
    if (!isObject(json)) return toNearest(json);
    const keysAreNumbers = !NOT_NUMBERS.has(field.mapKey);
    return mapMembers(json, (key, value) => {
      if (keysAreNumbers && !INTEGER.test(key)) {
        throw new NumberError(path, 'expected keys that are decimal integers');
      }
      return this.#inItem(field, value, path);
    });
  }

  #inItem(field: DescField, json: ExactJson, path: string): JsonValue {
    if (field.scalar !== undefined) return inScalar(field.scalar, json, path);
    return field.message ? this.inMessage(field.message, json, path) : toNearest(json);
  }
}

function inScalar(scalar: ScalarType, json: ExactJson, path: string): JsonValue {
  if (NOT_NUMBERS.has(scalar)) return toNearest(json);
  if (typeof json === 'string') {
    if (DECIMAL.test(json) || (FLOATS.has(scalar) && NOT_FINITE.has(json))) return json;
    throw new NumberError(path, 'expected a decimal number');
  }
  if (!INTEGERS_64_BIT.has(scalar)) return toNearest(json);
  // Written as a string the JSON library takes it exactly.
  if (typeof json === 'bigint') return String(json);
  if (typeof json === 'number' && !Number.isSafeInteger(json)) {
    throw new NumberError(path, 'expected an integer');
  }
  return toNearest(json);
}

/** For what is no field of an integer: doubles in the place of large integers. */
function toNearest(json: ExactJson): JsonValue {
  if (typeof json === 'bigint') return Number(json);
  if (Array.isArray(json)) return json.map(toNearest);
  return isObject(json) ? mapMembers(json, (_, value) => toNearest(value)) : json;
}

/** Keeps `__proto__` a member like any other. */
function mapMembers(
  json: ExactObject,
  map: (name: string, value: ExactJson) => JsonValue,
): JsonObject {
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, map(name, value)]));
}

function isObject(json: ExactJson): json is ExactObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
