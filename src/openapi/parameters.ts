/** Parameters of a path and a query, and the path as OpenAPI writes it. */
import type { DescField, DescMessage, JsonObject } from '@bufbuild/protobuf';
import { canonicalPath, resolveFieldPath, takesText } from '../gateway/field-path.js';
import { FIELD_PATH_DEPTH_MAX } from '../gateway/limits.js';
import type { Variable } from '../gateway/path-template.js';
import type { Route } from '../gateway/route-table.js';
import { isRequired, rulesOf } from './field-rules.js';
import { fieldSchema } from './field-schema.js';
import type { Schemas } from './schemas.js';
import type { Schema } from './well-known.js';

export interface Parameter extends JsonObject {
  name: string;
  in: 'path' | 'query';
  required: boolean;
  description: string;
  schema: Schema;
}

/** A wildcard of a path template: one parameter of the path. */
interface Wildcard {
  name: string;
  /** Field path of its variable; undefined for a wildcard that binds none. */
  variable: Variable | undefined;
  /** Whether it holds the whole value of the variable, in one segment. */
  isWhole: boolean;
}

/** The path of a route with a name for each of its wildcards, such as `/v1/sandboxes/{sandbox_id}`. */
export function openApiPath({ template }: Route): string {
  const segments = template.segments.map((segment, index) =>
    segment.kind === 'literal' ? segment.value : `{${wildcardAt(template, index).name}}`,
  );
  const verb = template.verb === undefined ? '' : `:${template.verb}`;
  return `/${segments.join('/')}${verb}`;
}

export function pathParameters({ template, input }: Route, schemas: Schemas): Parameter[] {
  return template.segments.flatMap((segment, index) => {
    if (segment.kind === 'literal') return [];
    const { name, variable, isWhole } = wildcardAt(template, index);
    const field = variable && resolveFieldPath(input, variable.fieldPath)?.at(-1);
    const { description, ...schema } = field ? fieldSchema(field, schemas) : {};
    return {
      name,
      in: 'path' as const,
      required: true,
      description: String(description ?? 'Anything.'),
      schema: isWhole ? neverEmpty(schema) : { type: 'string' },
    };
  });
}

/** A segment of a path is there, even where the field may be empty. */
function neverEmpty(schema: Schema): Schema {
  const takesEmpty = schema.type === 'string' && !schema.enum && !schema.minLength;
  const refuses = typeof schema.pattern === 'string' && !new RegExp(schema.pattern, 'u').test('');
  return takesEmpty && !refuses ? { ...schema, minLength: 1 } : schema;
}

/** The fields that a query may set: all that stand in neither path nor body and can be written as text. */
export function queryParameters(route: Route, schemas: Schemas): Parameter[] {
  if (route.body.kind === 'message') return [];
  const taken = new Set(route.template.variables.map(({ fieldPath }) => fieldPath));
  if (route.body.kind !== 'none' && route.body.field) taken.add(route.body.field.name);
  return textFields(route.input, [], taken).map((fields) => {
    const field = fields.at(-1) as DescField;
    const { description = '', ...schema } = fieldSchema(field, schemas);
    const required = fields.every((part) => isRequired(part, rulesOf(part, schemas.registry)));
    return {
      name: canonicalPath(fields),
      in: 'query' as const,
      required,
      description: String(description),
      schema,
    };
  });
}

/** Chains of fields that end in one that can be written as text; a message that holds itself is left. */
function textFields(message: DescMessage, above: DescField[], taken: Set<string>): DescField[][] {
  if (above.length >= FIELD_PATH_DEPTH_MAX) return [];
  return message.fields.flatMap((field) => {
    const fields = [...above, field];
    if (taken.has(canonicalPath(fields))) return [];
    if (takesText(field)) return [fields];
    const isRecursive = above.some(({ parent }) => parent === field.message);
    if (field.fieldKind !== 'message' || isRecursive || field.message === message) return [];
    return textFields(field.message, fields, taken);
  });
}

function wildcardAt({ segments, variables }: Route['template'], index: number): Wildcard {
  const variable = variables.find(({ start, end }) => start <= index && index < end);
  const isWildcard = (at: number) => segments[at]?.kind !== 'literal';
  if (!variable) {
    const before = segments.slice(0, index).filter((_, at) => isWildcard(at)).length;
    return { name: `segment_${before + 1}`, variable: undefined, isWhole: false };
  }
  const { fieldPath, start, end, isMultiSegment } = variable;
  const wildcards = segments
    .map((_, at) => at)
    .filter((at) => start <= at && at < end && isWildcard(at));
  const name = wildcards.length === 1 ? fieldPath : `${fieldPath}_${wildcards.indexOf(index) + 1}`;
  return { name, variable, isWhole: !isMultiSegment };
}
