/**
 * JSON values into messages and back, by the proto3 JSON mapping. Reading is
 * strict: unknown fields and wrong types are refused, and the error names the
 * field.
 */
import {
  createRegistry,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  type JsonWriteOptions,
  type Message,
  mergeFromJson,
  type Registry,
  toJson,
} from '@bufbuild/protobuf';
import { Code, type Reason, WrennError } from '../../lib/errors/index.js';
import { findField } from './field-path.js';
import type { ExactJson } from './json-text.js';
import { JSON_DEPTH_MAX } from './limits.js';
import { NumberError, settleNumbers } from './strict-numbers.js';

const FIELD_NAME_LENGTH_MAX = 128;

/**
 * The types that JSON may name. Extensions are not among them: the library
 * would pass over one in silence that belongs to another message.
 */
export function withoutExtensions(registry: Registry): Registry {
  return createRegistry(...[...registry].filter(({ kind }) => kind === 'message'));
}

/** How JSON is written; the mapping's own defaults where a member is absent. */
export type JsonStyle = Partial<Pick<JsonWriteOptions, 'alwaysEmitImplicit' | 'useProtoFieldName'>>;

/** The JSON of an encoded message; throws Error when the bytes are none of that message. */
export function messageToJson(
  descriptor: DescMessage,
  bytes: Uint8Array,
  registry: Registry,
  style: JsonStyle = {},
): JsonValue {
  return toJson(descriptor, fromBinary(descriptor, bytes), { ...style, registry });
}

/** Merges a JSON value into a message; throws INVALID_ARGUMENT with the given reason. */
export function mergeJson(
  descriptor: DescMessage,
  message: Message,
  json: ExactJson,
  { registry, reason }: { registry: Registry; reason: Reason },
): void {
  const settled = settle(descriptor, json, registry, reason);
  try {
    mergeFromJson(descriptor, message, settled, jsonOptions(registry));
  } catch (cause) {
    const field = failingField(descriptor, settled, registry);
    throw refusal(descriptor, field, describe(cause), reason);
  }
}

function settle(
  descriptor: DescMessage,
  json: ExactJson,
  registry: Registry,
  reason: Reason,
): JsonValue {
  try {
    return settleNumbers(descriptor, json, registry);
  } catch (cause) {
    if (!(cause instanceof NumberError)) throw cause;
    throw refusal(descriptor, cause.field, cause.message, reason);
  }
}

/**
 * Path of the field that cannot be read, found by reading each one alone: the
 * library's errors do not always name it. Empty when no single field is at fault.
 */
function failingField(descriptor: DescMessage, json: JsonValue, registry: Registry): string {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return '';
  for (const [name, value] of Object.entries(json)) {
    const field = findField(descriptor, name);
    if (!field) return name.slice(0, FIELD_NAME_LENGTH_MAX);
    try {
      fromJson(descriptor, { [field.name]: value }, jsonOptions(registry));
    } catch {
      const inner =
        field.fieldKind === 'message' ? failingField(field.message, value, registry) : '';
      return inner ? `${field.name}.${inner}` : field.name;
    }
  }
  return '';
}

function jsonOptions(registry: Registry) {
  return { registry, recursionLimit: JSON_DEPTH_MAX };
}

function describe(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  const unknownKey = / is unknown$/.test(message);
  return unknownKey ? 'no such field' : message.slice(0, 2 * FIELD_NAME_LENGTH_MAX);
}

function refusal(
  descriptor: DescMessage,
  field: string,
  description: string,
  reason: Reason,
): WrennError {
  const place = field === '' ? '' : `${field}: `;
  const message = `the request is not a valid ${descriptor.name}: ${place}${description}`;
  const violations = field === '' ? [] : [{ field, description, rule: 'json' }];
  return new WrennError(Code.INVALID_ARGUMENT, reason, message, { violations });
}
