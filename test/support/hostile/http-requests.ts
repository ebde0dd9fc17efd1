/** Requests of a route over HTTP with texts in their path, query and body. */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { Route } from '../../../src/gateway/route-table.js';
import type { HttpCall } from './http-caller.js';
import type { Filled } from './packed.js';
import type { Target } from './targets.js';
import type { FieldPath } from './wire.js';

/** Longest request line and headers that the gateway reads, with room for the other headers. */
const TARGET_LENGTH_MAX = 15_500;
const JSON_TYPE = { 'content-type': 'application/json' };

/** Whether text can be put there: a google.protobuf.Any and the content of an upload are no fields of JSON. */
export function isOfHttp(route: Route): (target: Target) => boolean {
  const variables = new Set(route.template.variables.map(({ fieldPath }) => fieldPath));
  return ({ path }) => {
    const [first, ...others] = path;
    if (!first || variables.has(first.name)) return false;
    if (path.some(({ message }) => message?.typeName === 'google.protobuf.Any')) return false;
    if (route.body.kind === 'raw') return route.body.field !== first;
    if (route.body.kind !== 'none') return true;
    return others.length === 0 && first.fieldKind !== 'map';
  };
}

/** A good request with these texts in its query and body. */
export function httpRequest(route: Route, json: JsonObject, filled: readonly Filled[]): HttpCall {
  const values = structuredClone(json) as JsonObject;
  for (const each of filled) put(values, each.path, each, filled);
  return requestOf(route, values, {});
}

/** A good request with a text in a variable of its path. */
export function httpRequestOfPath(
  route: Route,
  json: JsonObject,
  variable: string,
  text: string,
): HttpCall {
  return requestOf(route, json, { [variable]: text });
}

export function isTooLong({ target }: HttpCall): boolean {
  return target.length > TARGET_LENGTH_MAX;
}

/** A request whose body is this text, whatever it is. */
export function httpRequestOfText(route: Route, json: JsonObject, body: string | Buffer): HttpCall {
  return { ...requestOf(route, json, {}), headers: JSON_TYPE, body };
}

function requestOf(route: Route, values: JsonObject, texts: Record<string, string>): HttpCall {
  const rest = { ...values };
  const path = route.template.variables.reduce((template, { fieldPath }) => {
    const name = route.input.fields.find((field) => field.name === fieldPath)?.jsonName ?? '';
    const text = texts[fieldPath] ?? String(rest[name] ?? '');
    delete rest[name];
    return template.replace(`{${fieldPath}}`, () => encodeURIComponent(text));
  }, route.template.text);
  const method = route.httpMethod;
  const { body } = route;
  if (body.kind === 'message')
    return { method, target: path, headers: JSON_TYPE, body: JSON.stringify(rest) };
  const query = queryOf(rest, body.kind === 'field' ? body.field.jsonName : '');
  const call = { method, target: query === '' ? path : `${path}?${query}` };
  if (body.kind === 'raw') return { ...call, body: 'content' };
  if (body.kind === 'none') return call;
  return { ...call, headers: JSON_TYPE, body: JSON.stringify(rest[body.field.jsonName] ?? {}) };
}

function queryOf(values: JsonObject, bodyField: string): string {
  return Object.entries(values)
    .filter(([name]) => name !== bodyField)
    .flatMap(([name, value]) =>
      [value].flat().map((each) => `${name}=${encodeURIComponent(String(each))}`),
    )
    .join('&');
}

function put(
  values: JsonObject,
  path: FieldPath,
  { part, text }: Filled,
  all: readonly Filled[],
): void {
  const field = path.at(-1);
  if (!field) return;
  const parent = path.slice(0, -1).reduce<JsonObject>((json, { jsonName }) => {
    const inner = (json[jsonName] ?? {}) as JsonObject;
    json[jsonName] = inner;
    return inner;
  }, values);
  if (field.fieldKind === 'list') parent[field.jsonName] = [text];
  else if (field.fieldKind !== 'map') parent[field.jsonName] = text;
  else if (part === 'key') {
    const value = all.find((other) => other.part === 'value' && other.path.at(-1) === field);
    parent[field.jsonName] = entry(text, value?.text ?? '');
  }
}

/** An entry whose key may be `__proto__`. */
function entry(key: string, value: string): JsonObject {
  return Object.fromEntries([[key, value as JsonValue]]);
}
