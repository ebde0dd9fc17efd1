/** Values for a JSON Schema, as fast-check makes them: those that are valid, and those that nearly are. */
import fc from 'fast-check';
import type { Json, OpenApi } from './openapi.js';

const PROPERTIES_MAX = 3;
const ITEMS_MAX = 3;
const LENGTH_MAX = 40;
const INTEGER_MAX = 2 ** 31 - 1;

/** What stands where a schema wants something else. */
const STRANGE = fc.constantFrom<Json>(
  ...[null, true, -1, 1.5, 1e300, 2 ** 40, '', ' ', 'a\0b', '../..', 'é'.repeat(5000), [], {}],
  ...[[[]], { a: 1 }, ['a', 1], { '': null }, '__proto__', 'NaN', '-1', '99999999999'],
);

/** Values that are valid, and after a `$ref` has been followed often enough, small. */
export function validValues(api: OpenApi, schema: Json): fc.Arbitrary<Json> {
  return arbitraryOf(api, schema).filter((value) => api.problems(schema, value).length === 0);
}

/** Values of which something at one place is not as the schema says. */
export function invalidValues(api: OpenApi, schema: Json): fc.Arbitrary<Json> {
  const spoilt = fc
    .tuple(arbitraryOf(api, schema), fc.nat(), STRANGE)
    .map(([value, place, strange]) => spoil(value, place, strange));
  return fc.oneof(spoilt, STRANGE).filter((value) => api.problems(schema, value).length > 0);
}

function arbitraryOf(api: OpenApi, given: Json): fc.Arbitrary<Json> {
  const schema = given.$ref ? { ...api.resolve(given.$ref), ...given, $ref: undefined } : given;
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom<Json>(...schema.enum);
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) return fc.oneof(...choices.map((choice: Json) => merged(api, schema, choice)));
  if (schema.allOf)
    return merged(api, { ...schema, allOf: undefined }, Object.assign({}, ...schema.allOf));
  switch ([schema.type].flat()[0]) {
    case 'object':
      return objects(api, schema);
    case 'array':
      return fc.array(arbitraryOf(api, schema.items), {
        maxLength: Math.min(ITEMS_MAX, schema.maxItems ?? ITEMS_MAX),
      });
    case 'string':
      return texts(schema);
    case 'integer':
      return fc.integer({
        min: schema.minimum ?? -INTEGER_MAX,
        max: Math.min(schema.maximum ?? INTEGER_MAX, INTEGER_MAX),
      });
    case 'number':
      return fc.integer({ min: schema.minimum ?? -INTEGER_MAX, max: INTEGER_MAX });
    case 'boolean':
      return fc.boolean();
    default:
      return fc.jsonValue();
  }
}

function merged(api: OpenApi, schema: Json, choice: Json): fc.Arbitrary<Json> {
  const { oneOf: _one, anyOf: _any, ...rest } = schema;
  if (rest.type !== 'object' || !choice.required) return arbitraryOf(api, { ...rest, ...choice });
  const required = [...(rest.required ?? []), ...choice.required];
  return arbitraryOf(api, {
    ...rest,
    ...choice,
    properties: { ...rest.properties, ...choice.properties },
    required,
  });
}

function objects(api: OpenApi, schema: Json): fc.Arbitrary<Json> {
  const { properties = {}, required = [], additionalProperties: others, propertyNames } = schema;
  const known = Object.entries<Json>(properties).map(
    ([name, inner]) => [name, arbitraryOf(api, inner)] as const,
  );
  const fields = fc.record(Object.fromEntries(known), { requiredKeys: required });
  if (typeof others !== 'object') return fields;
  const names = propertyNames
    ? arbitraryOf(api, { type: 'string', ...propertyNames })
    : fc.string();
  const entries = fc.dictionary(names, arbitraryOf(api, others), { maxKeys: PROPERTIES_MAX });
  return fc.tuple(fields, entries).map(([own, more]) => ({ ...more, ...own }));
}

function texts({
  pattern,
  format,
  minLength = 0,
  maxLength = LENGTH_MAX,
}: Json): fc.Arbitrary<string> {
  if (format === 'email')
    return fc.constantFrom('a@b.example', 'x.y@example.com', 'nobody@example.org');
  if (format === 'date-time') return fc.constant('2026-01-01T00:00:00Z');
  const length = { minLength, maxLength: Math.max(minLength, Math.min(maxLength, LENGTH_MAX)) };
  if (format === 'byte') {
    return fc
      .uint8Array({ maxLength: LENGTH_MAX / 2 })
      .map((bytes) => Buffer.from(bytes).toString('base64'));
  }
  if (!pattern) return fc.string({ unit: 'grapheme', ...length });
  return fc
    .stringMatching(new RegExp(pattern, 'u'), { maxLength: length.maxLength })
    .filter(({ length: size }) => size >= minLength);
}

/** Puts a strange value in the place of one of the parts of a value. */
function spoil(value: Json, place: number, strange: Json): Json {
  if (typeof value !== 'object' || value === null) return strange;
  const keys = Object.keys(value);
  if (keys.length === 0)
    return Array.isArray(value) ? [strange] : { [`no_such_${place}`]: strange };
  const key = keys[place % keys.length] ?? '';
  const copy = Array.isArray(value) ? [...value] : { ...value };
  copy[key as keyof typeof copy] = spoil(value[key], Math.floor(place / keys.length), strange);
  return copy;
}
