/**
 * Query parameters to fields: `page_size=5`, `filter.state=RUNNING`,
 * `tag=a&tag=b`. Names are proto or JSON names; a name that is no field, a value
 * for a map or a whole message, and a field that the path or the body holds
 * already are refused.
 */
import type { DescMessage, JsonObject } from '@bufbuild/protobuf';
import { Code, WrennError } from '../../lib/errors/index.js';
import { canonicalPath, putJson, resolveFieldPath, takesText, textToJson } from './field-path.js';
import { PARAMETERS_MAX } from './limits.js';
import type { Route } from './route-table.js';

/** The JSON of the fields that a query sets; throws INVALID_ARGUMENT naming the parameter. */
export function queryToJson(route: Route, query: string): JsonObject {
  const json: JsonObject = {};
  const parameters = query.split('&').filter((parameter) => parameter !== '');
  if (parameters.length > PARAMETERS_MAX) {
    throw refused('', `the query holds more than ${PARAMETERS_MAX} parameters`);
  }
  for (const parameter of parameters) {
    const separator = parameter.indexOf('=');
    const rawName = separator < 0 ? parameter : parameter.slice(0, separator);
    const rawValue = separator < 0 ? '' : parameter.slice(separator + 1);
    putTextAt(route.input, json, decode(rawName), decode(rawValue), (path) => isTaken(route, path));
  }
  return json;
}

/**
 * Sets one field, named and written as text, in a JSON object.
 * @throws INVALID_ARGUMENT naming the field.
 */
export function putTextAt(
  input: DescMessage,
  json: JsonObject,
  name: string,
  text: string,
  isTakenElsewhere: (fieldPath: string) => boolean,
): void {
  const fields = resolveFieldPath(input, name);
  const field = fields?.at(-1);
  if (!fields || !field) throw refused(name, 'no such field');
  if (!takesText(field)) throw refused(name, 'this field cannot be written as text');
  if (isTakenElsewhere(canonicalPath(fields))) {
    throw refused(name, 'this field is set by another part of the request');
  }
  if (!putJson(json, fields, textToJson(field, text))) throw refused(name, 'set more than once');
}

function isTaken({ template, body }: Route, fieldPath: string): boolean {
  if (template.variables.some((variable) => variable.fieldPath === fieldPath)) return true;
  if (body.kind === 'none') return false;
  const bodyField = 'field' in body ? body.field : undefined;
  return bodyField === undefined || fieldPath.split('.')[0] === bodyField.name;
}

function decode(raw: string): string {
  try {
    return decodeURIComponent(raw.replaceAll('+', ' '));
  } catch (cause) {
    throw refused('', 'the query holds an escape that is not percent-encoded UTF-8', cause);
  }
}

function refused(name: string, description: string, cause?: unknown): WrennError {
  const field = name.slice(0, 128);
  return new WrennError(
    Code.INVALID_ARGUMENT,
    'INVALID_REQUEST',
    field === '' ? description : `${field}: ${description}`,
    { violations: field === '' ? [] : [{ field, description, rule: 'parameter' }], cause },
  );
}
