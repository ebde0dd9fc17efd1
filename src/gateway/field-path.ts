/**
 * Fields named by text, as paths, queries and forms name them: `a.b.c` to a
 * chain of descriptors, and the text of a value to the JSON that stands for it.
 */
import {
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  ScalarType,
} from '@bufbuild/protobuf';
import { FIELD_PATH_DEPTH_MAX } from './limits.js';

/** Messages that JSON writes as one string or number. */
const TEXT_MESSAGES = new Set(['Timestamp', 'Duration', 'FieldMask'].map(wellKnown));
const WRAPPERS = new Set(
  ['Double', 'Float', 'Int64', 'UInt64', 'Int32', 'UInt32', 'Bool', 'String', 'Bytes'].map((name) =>
    wellKnown(`${name}Value`),
  ),
);

/** A field of a message by its proto name or its JSON name. */
export function findField(message: DescMessage, name: string): DescField | undefined {
  return message.fields.find((field) => field.name === name || field.jsonName === name);
}

/** The chain of fields that a path names; undefined when it names none. */
export function resolveFieldPath(message: DescMessage, path: string): DescField[] | undefined {
  const names = path.split('.');
  if (names.length > FIELD_PATH_DEPTH_MAX) return undefined;
  const fields: DescField[] = [];
  let parent: DescMessage | undefined = message;
  for (const name of names) {
    const field: DescField | undefined = parent && findField(parent, name);
    if (!field) return undefined;
    fields.push(field);
    parent = field.fieldKind === 'message' ? field.message : undefined;
  }
  return fields;
}

/** The path in proto names, however the caller spelled it. */
export function canonicalPath(fields: DescField[]): string {
  return fields.map(({ name }) => name).join('.');
}

/** Whether the field's value, or one item of a repeated field, can be written as text. */
export function takesText(field: DescField): boolean {
  if (field.fieldKind === 'map') return false;
  if (!field.message) return true;
  return TEXT_MESSAGES.has(field.message.typeName) || WRAPPERS.has(field.message.typeName);
}

/** The JSON that stands for a value written as text; the JSON library judges what comes out. */
export function textToJson(field: DescField, text: string): JsonValue {
  const message = field.fieldKind === 'map' ? undefined : field.message;
  if (message?.typeName === wellKnown('FieldMask')) return camelCasePaths(text);
  const [wrapped] = message && WRAPPERS.has(message.typeName) ? message.fields : [];
  return scalarToJson(wrapped ?? field, text);
}

/**
 * Puts a value at a field path into a JSON object, appending to repeated fields.
 * @returns false when something else stands there already.
 */
export function putJson(target: JsonObject, fields: DescField[], value: JsonValue): boolean {
  let parent = target;
  for (const field of fields.slice(0, -1)) {
    parent[field.name] ??= {};
    const child = parent[field.name];
    if (typeof child !== 'object' || child === null || Array.isArray(child)) return false;
    parent = child;
  }
  const last = fields.at(-1);
  if (!last) return false;
  if (last.fieldKind === 'list') {
    parent[last.name] ??= [];
    (parent[last.name] as JsonValue[]).push(value);
    return true;
  }
  if (parent[last.name] !== undefined) return false;
  parent[last.name] = value;
  return true;
}

function scalarToJson(field: DescField, text: string): JsonValue {
  if (field.scalar === ScalarType.BOOL && (text === 'true' || text === 'false')) {
    return text === 'true';
  }
  if (field.enum && /^-?\d+$/.test(text)) return Number(text);
  return text;
}

/** JSON writes field masks in camel case; in a query people write the names of the proto. */
function camelCasePaths(text: string): string {
  return text.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function wellKnown(name: string): string {
  return `google.protobuf.${name}`;
}
