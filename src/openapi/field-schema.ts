/** The schema of one field: its type in the proto3 JSON mapping, its rules and its comment. */
import type {
  DescEnum,
  DescField,
  DescMessage,
  FileRegistry,
  JsonObject,
} from '@bufbuild/protobuf';
import { commentOf } from './comments.js';
import { excludedNumbers, type Rules, ruleSchema, rulesOf, translate } from './field-rules.js';
import { type Schema, scalarSchema, wellKnownSchema } from './well-known.js';

/** Where a field of a message or enum type finds the schema of that type. */
export interface TypeSchemas {
  registry: FileRegistry;
  /** A reference to the schema of a type, which becomes a part of the document. */
  reference(type: DescMessage | DescEnum): Schema;
}

/** The schema of a field with its description. */
export function fieldSchema(field: DescField, types: TypeSchemas): Schema {
  const { description, ...schema } = schemaOf(field, rulesOf(field, types.registry), types);
  const sentences = [commentOf(field), description].filter(Boolean);
  return { ...schema, ...(sentences.length > 0 ? { description: sentences.join(' ') } : {}) };
}

function schemaOf(field: DescField, rules: Rules, types: TypeSchemas): Schema {
  if (field.fieldKind === 'list') return listSchema(field, rules, types);
  if (field.fieldKind === 'map') return mapSchema(field, rules, types);
  return valueSchema(field, rules, types);
}

/** A single value, or one item of a list, or the value of a map entry. */
function valueSchema(field: DescField, rules: Rules, types: TypeSchemas): Schema {
  if (field.enum) return enumSchema(field.enum, rules, types);
  if (field.message) return wellKnownSchema(field.message) ?? types.reference(field.message);
  if (field.scalar === undefined) throw new Error('a field is a scalar, an enum or a message');
  return { ...scalarSchema(field.scalar), ...ruleSchema(rules, String(field)) };
}

/** A type that excludes some of its names lists the others where it is used. */
function enumSchema(type: DescEnum, rules: Rules, types: TypeSchemas): Schema {
  const excluded = excludedNumbers(rules);
  if (excluded.length === 0) return types.reference(type);
  const allowed = type.values.filter(({ number }) => !excluded.includes(number));
  return { type: 'string', enum: allowed.map(({ name }) => name) };
}

function listSchema(
  field: DescField & { fieldKind: 'list' },
  { repeated = {}, ...others }: Rules,
  types: TypeSchemas,
): Schema {
  refuseOthers(field, others);
  const { items = {}, ...rules } = repeated as JsonObject;
  const { description, ...itemSchema } = valueSchema(field, items as Rules, types);
  return {
    type: 'array',
    items: itemSchema,
    ...translate(
      {
        min_items: (value) => ({ minItems: Number(value) }),
        max_items: (value) => ({ maxItems: Number(value) }),
        unique: (value) => ({ uniqueItems: value }),
      },
      rules,
      `${field.name}: repeated`,
    ),
    ...(description ? { description: `Each: ${String(description)}` } : {}),
  };
}

function mapSchema(
  field: DescField & { fieldKind: 'map' },
  { map = {}, ...others }: Rules,
  types: TypeSchemas,
): Schema {
  refuseOthers(field, others);
  const { keys = {}, values = {}, ...rules } = map as JsonObject;
  const keySchema = ruleSchema(keys as Rules, `${field.name}: keys`);
  return {
    type: 'object',
    additionalProperties: valueSchema(field, values as Rules, types),
    ...(Object.keys(keySchema).length > 0 ? { propertyNames: keySchema } : {}),
    ...translate(
      {
        min_pairs: (value) => ({ minProperties: Number(value) }),
        max_pairs: (value) => ({ maxProperties: Number(value) }),
      },
      rules,
      `${field.name}: map`,
    ),
  };
}

function refuseOthers(field: DescField, { ignore: _, required: __, ...others }: Rules): void {
  const [name] = Object.keys(others);
  if (name) throw new Error(`${field.name}: no schema for the rules of ${name} here`);
}
