/**
 * Puts the parts of an HTTP request together into one encoded message: first
 * the body, then the query, then the path. A body that contradicts the path is
 * refused, since one of the two cannot be what the caller meant.
 */
import {
  create,
  type DescMessage,
  type JsonObject,
  type Message,
  type Registry,
  toBinary,
} from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { Code, WrennError } from '../../lib/errors/index.js';
import { bodyTooLarge } from './body-stream.js';
import { putJson, resolveFieldPath, textToJson } from './field-path.js';
import { encodeContent } from './http-body.js';
import { mergeJson } from './json-message.js';
import { MESSAGE_BYTES_MAX } from './limits.js';
import { queryToJson } from './query.js';
import type { ParsedBody } from './request-body.js';
import type { Route, RouteMatch } from './route-table.js';

const NO_DATA = Buffer.alloc(0);

export interface BoundRequest {
  message: Message;
  bytes: Uint8Array;
}

/** Makes the message that an HTTP request stands for; throws INVALID_ARGUMENT. */
export function bindRequest(
  { route, variables }: RouteMatch,
  query: string,
  body: ParsedBody,
  registry: Registry,
): BoundRequest {
  const { input } = route;
  const message = create(input);
  mergeBody(route, message, body, registry);
  const parameters = { registry, reason: 'INVALID_REQUEST' } as const;
  mergeJson(input, message, queryToJson(route, query), parameters);
  const fromBody = [...variables.keys()].map((path) => valueAt(input, message, path));
  mergeJson(input, message, variablesToJson(input, variables), parameters);
  refuseContradictions(input, message, [...variables.keys()], fromBody);
  const bytes = encode(route, message, body);
  if (bytes.length > MESSAGE_BYTES_MAX) throw bodyTooLarge(MESSAGE_BYTES_MAX);
  return { message, bytes };
}

function mergeBody(
  { input, body: rule }: Route,
  message: Message,
  body: ParsedBody,
  registry: Registry,
): void {
  if (body.kind === 'json') {
    const json = rule.kind === 'field' ? { [rule.field.name]: body.json } : body.json;
    mergeJson(input, message, json, { registry, reason: 'INVALID_JSON' });
  }
  if (body.kind === 'form') {
    mergeJson(input, message, body.form.json, { registry, reason: 'INVALID_REQUEST' });
    const reflected = reflect(input, message);
    for (const [field, bytes] of body.form.files) reflected.set(field, bytes);
  }
  if (body.kind === 'fields') {
    mergeJson(input, message, body.json, { registry, reason: 'INVALID_REQUEST' });
  }
}

/** The content of an upload stands behind all other fields. */
function encode({ input, body: rule }: Route, message: Message, body: ParsedBody): Uint8Array {
  const bytes = toBinary(input, message);
  if (rule.kind !== 'raw' || !('contentType' in body)) return bytes;
  return Buffer.concat([bytes, encodeContent(rule.field, { data: NO_DATA, ...body })]);
}

function variablesToJson(input: DescMessage, variables: Map<string, string>): JsonObject {
  const json: JsonObject = {};
  for (const [path, text] of variables) {
    const fields = resolveFieldPath(input, path) ?? [];
    const last = fields.at(-1);
    if (last) putJson(json, fields, textToJson(last, text));
  }
  return json;
}

function refuseContradictions(
  input: DescMessage,
  message: Message,
  paths: string[],
  before: unknown[],
): void {
  paths.forEach((path, index) => {
    if (before[index] === undefined || before[index] === valueAt(input, message, path)) return;
    const description = 'the body and the path name different values';
    throw new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', `${path}: ${description}`, {
      violations: [{ field: path, description, rule: 'path' }],
    });
  });
}

/** The value of a scalar field, or undefined when it is not set. */
function valueAt(input: DescMessage, message: Message, path: string): unknown {
  const fields = resolveFieldPath(input, path) ?? [];
  let parent: ReflectMessage = reflect(input, message);
  for (const field of fields) {
    if (!parent.isSet(field)) return undefined;
    const value: unknown = parent.get(field);
    if (field.fieldKind !== 'message') return value;
    parent = value as ReflectMessage;
  }
  return undefined;
}
