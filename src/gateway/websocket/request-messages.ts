/**
 * Text messages of a client to encoded messages of a method. The first one is
 * bound with the path and the query, as the body of a request is.
 */
import { create, equals, type Registry } from '@bufbuild/protobuf';
import { Code, WrennError } from '../../../lib/errors/index.js';
import { bindRequest } from '../bind-request.js';
import { mergeJson } from '../json-message.js';
import { type ExactJson, JsonTextError, parseJsonText } from '../json-text.js';
import { queryToJson } from '../query.js';
import type { Route, RouteMatch } from '../route-table.js';

export type EncodeRequest = (text: Buffer) => Uint8Array;

/** Encodes the messages of one WebSocket in their order; throws INVALID_ARGUMENT. */
export function requestEncoder(
  match: RouteMatch,
  query: string,
  registry: Registry,
): EncodeRequest {
  const { route } = match;
  const later = { route, variables: new Map<string, string>() };
  let isFirst = true;
  return (text) => {
    const json = parse(text);
    const body = { kind: 'json', json } as const;
    if (!isFirst) return bindRequest(later, '', body, registry).bytes;
    isFirst = false;
    const { bytes } = bindRequest(match, query, body, registry);
    refuseContradiction(route, query, json, registry);
    return bytes;
  };
}

function parse(text: Buffer): ExactJson {
  try {
    return parseJsonText(text);
  } catch (cause) {
    if (!(cause instanceof JsonTextError)) throw cause;
    throw new WrennError(Code.INVALID_ARGUMENT, 'INVALID_JSON', cause.message);
  }
}

/** Where two parts say the same field, what comes of them must not depend on which is read first. */
function refuseContradiction(
  route: Route,
  query: string,
  message: ExactJson,
  registry: Registry,
): void {
  if (query === '') return;
  const parameters = queryToJson(route, query);
  const merge = (parts: ExactJson[]) => {
    const merged = create(route.input);
    for (const part of parts) {
      mergeJson(route.input, merged, part, { registry, reason: 'INVALID_REQUEST' });
    }
    return merged;
  };
  const isSame = equals(route.input, merge([message, parameters]), merge([parameters, message]));
  if (isSame) return;
  throw new WrennError(
    Code.INVALID_ARGUMENT,
    'INVALID_REQUEST',
    'the first message and the query name different values',
  );
}
