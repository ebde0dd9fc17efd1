/**
 * Rules of buf.validate as JSON Schema. A rule that has no translation here
 * stops the generation: the document never says less than the server checks.
 */
import {
  type DescField,
  type DescOneof,
  type FileRegistry,
  getOption,
  hasOption,
  type JsonObject,
  type JsonValue,
  toJson,
} from '@bufbuild/protobuf';
import type { Schema } from './well-known.js';

/** The rules of one field in the JSON form of buf.validate.FieldRules. */
export type Rules = JsonObject;

/**
 * CEL says more than JSON Schema can, so each expression in the protos has its
 * schema here, by id.
 */
const CEL_SCHEMAS: Record<string, Schema> = {
  'memory_mb.range': { anyOf: [{ const: 0 }, { minimum: 128, maximum: 16384 }] },
  'offset.whole': { minimum: 0, maximum: 2 ** 53, multipleOf: 1 },
};

type Translation = (value: JsonValue) => Schema;

/** The JSON form of the rules writes 64-bit numbers as strings. */
const number = (value: JsonValue) => Number(value);

const STRING: Record<string, Translation> = {
  len: (value) => ({ minLength: number(value), maxLength: number(value) }),
  min_len: (value) => ({ minLength: number(value) }),
  max_len: (value) => ({ maxLength: number(value) }),
  // A character has at least one byte, so no longer text can be right.
  max_bytes: (value) => ({
    maxLength: number(value),
    description: `At most ${number(value)} bytes of UTF-8.`,
  }),
  pattern: (value) => ({ pattern: portablePattern(String(value)) }),
  email: () => ({ format: 'email' }),
  not_in: (value) => ({ not: { enum: value } }),
};

const NUMBER: Record<string, Translation> = {
  const: (value) => ({ const: value }),
  gt: (value) => ({ exclusiveMinimum: number(value) }),
  gte: (value) => ({ minimum: number(value) }),
  lt: (value) => ({ exclusiveMaximum: number(value) }),
  lte: (value) => ({ maximum: number(value) }),
};

const BYTES: Record<string, Translation> = {
  // Base64 has four characters for three bytes.
  min_len: (value) => ({ minLength: Math.ceil((number(value) * 4) / 3) }),
  max_len: (value) => ({ maxLength: Math.ceil(number(value) / 3) * 4 }),
};

const BY_TYPE: Record<string, Record<string, Translation>> = {
  string: STRING,
  bytes: BYTES,
  ...Object.fromEntries(['int32', 'uint32', 'double', 'float'].map((type) => [type, NUMBER])),
};

/** The rules of a field; empty when it has none. */
export function rulesOf(field: DescField, registry: FileRegistry): Rules {
  const extension = registry.getExtension('buf.validate.field');
  if (!extension?.message || !hasOption(field, extension)) return {};
  const rules = getOption(field, extension) as Parameters<typeof toJson>[1];
  return toJson(extension.message, rules, { registry, useProtoFieldName: true }) as Rules;
}

/** Whether one member of a oneof must be set. */
export function isRequiredOneof(oneof: DescOneof, registry: FileRegistry): boolean {
  const extension = registry.getExtension('buf.validate.oneof');
  if (!extension || !hasOption(oneof, extension)) return false;
  return (getOption(oneof, extension) as unknown as { required: boolean }).required;
}

/** The rules for a plain value, of a field or of an item, as JSON Schema. */
export function ruleSchema(rules: Rules, where: string): Schema {
  const schemas = Object.entries(rules).map(([kind, value]) => {
    if (kind === 'ignore' || kind === 'required') return {};
    if (kind === 'cel') return celSchema(value as { id: string }[], where);
    const translations = BY_TYPE[kind];
    if (!translations) throw new Error(`${where}: no schema for the rules of ${kind}`);
    return translate(translations, value as JsonObject, `${where}: ${kind}`);
  });
  const schema: Schema = Object.assign({}, ...schemas);
  if (rules.ignore !== 'IGNORE_IF_ZERO_VALUE' || schema.pattern === undefined) return schema;
  return { ...schema, pattern: `^$|${schema.pattern}` };
}

/** The names of an enum that rules exclude, by number. */
export function excludedNumbers({ enum: rules }: Rules): number[] {
  return ((rules as JsonObject | undefined)?.not_in as number[] | undefined) ?? [];
}

/**
 * Whether a field must be set: rules say so, or refuse the value that it has
 * when it is not there.
 */
export function isRequired(field: DescField, rules: Rules): boolean {
  if (rules.required === true) return true;
  const isChoice = field.oneof !== undefined;
  if (isChoice || rules.ignore === 'IGNORE_IF_ZERO_VALUE' || field.fieldKind === 'map')
    return false;
  if (field.fieldKind === 'list') return number(at(rules, 'repeated', 'min_items') ?? 0) > 0;
  if (field.fieldKind === 'message') return false;
  if (field.fieldKind === 'enum') return excludedNumbers(rules).includes(0);
  const { pattern, minLength, minimum, exclusiveMinimum, format } = ruleSchema(rules, field.name);
  const refusesEmpty = typeof pattern === 'string' && !new RegExp(pattern, 'u').test('');
  return (
    refusesEmpty ||
    format === 'email' ||
    number(minLength ?? 0) > 0 ||
    number(minimum ?? 0) > 0 ||
    number(exclusiveMinimum ?? -1) >= 0
  );
}

/** A value inside rules, such as that of `repeated.max_items`. */
export function at(rules: Rules, kind: string, name: string): JsonValue | undefined {
  return (rules[kind] as JsonObject | undefined)?.[name];
}

export function translate(
  translations: Record<string, Translation>,
  rules: JsonObject,
  where: string,
): Schema {
  const schemas = Object.entries(rules).map(([name, value]) => {
    const translation = translations[name];
    if (!translation) throw new Error(`${where}: no schema for the rule ${name}`);
    return translation(value);
  });
  return Object.assign({}, ...schemas);
}

function celSchema(expressions: { id: string }[], where: string): Schema {
  const schemas = expressions.map(({ id }) => {
    const schema = CEL_SCHEMAS[id];
    if (!schema) throw new Error(`${where}: no schema for the expression ${id}`);
    return schema;
  });
  return Object.assign({}, ...schemas);
}

/** The rules are RE2, JSON Schema is ECMA-262: what both read means the same in both. */
function portablePattern(pattern: string): string {
  if (/\(\?(?![:])|\\[AzZQEpPC]/.test(pattern)) {
    throw new Error(`the pattern ${pattern} means something else in ECMA-262`);
  }
  new RegExp(pattern, 'u');
  return pattern;
}
