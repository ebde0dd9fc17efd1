/** A bidirectional stream over HTTP: a WebSocket, which OpenAPI has no words for. */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { STATUS_SCHEMA } from './error-schemas.js';
import type { Operation } from './operations.js';
import type { Schemas } from './schemas.js';

export const WEBSOCKET_SUBPROTOCOL = 'wrenn.v1.json';
export const WEBSOCKET_CREDENTIAL_PREFIX = 'wrenn.auth.';

/** What is said of every WebSocket, after the method's own comment. */
export function websocketDescription({ route }: Operation): string {
  return [
    `The subprotocol \`${WEBSOCKET_SUBPROTOCOL}\` must be offered. A page, which cannot set ` +
      `\`x-api-key\`, offers \`${WEBSOCKET_CREDENTIAL_PREFIX}<the key in unpadded base64url>\` as a ` +
      'second one. `Origin`, when there, must be the address of the gateway or one that it allows.',
    `A text message of the client is the JSON of one ${route.input.name}; an empty one says that no ` +
      `more follow. A text message of the server is the JSON of one ${route.output.name}. Binary ` +
      'messages are refused (close code 1003).',
    'The server closes with 1000 when all is well; else the last message is ' +
      '`{"error": google.rpc.Status}` and the close code is 4000 plus the gRPC code. It pings every ' +
      '30 seconds and cuts off a client that does not answer.',
  ].join('\n\n');
}

/** Machine-readable: the schemas of the messages, and a conversation. */
export function websocketExtension(
  operation: Operation,
  schemas: Schemas,
  example: { request: JsonValue | undefined; response: JsonValue | undefined },
): JsonObject {
  return {
    subprotocol: WEBSOCKET_SUBPROTOCOL,
    'credential-subprotocol-prefix': WEBSOCKET_CREDENTIAL_PREFIX,
    ...messageSchemas(operation, schemas),
    example: { requests: example.request ?? [], responses: example.response ?? [] },
  };
}

export function upgradeResponses(operation: Operation, schemas: Schemas): JsonObject {
  const { request, response } = messageSchemas(operation, schemas);
  return {
    101: {
      description: 'The connection is a WebSocket now; the schemas are those of its messages.',
      content: { 'application/json': { schema: { oneOf: [request, response] } } },
    },
    426: {
      description: 'The request does not ask for a WebSocket.',
      headers: { upgrade: { description: '`websocket`', schema: { type: 'string' } } },
      content: { 'application/json': { schema: STATUS_SCHEMA } },
    },
  };
}

function messageSchemas({ route }: Operation, schemas: Schemas) {
  const response = schemas.add(`${schemas.nameOf(route.output)}OrError`, {
    description: 'One message of the server: an event, or as the last one the error that ended it.',
    anyOf: [
      schemas.reference(route.output),
      { type: 'object', properties: { error: STATUS_SCHEMA }, required: ['error'] },
    ],
  });
  return { request: schemas.reference(route.input), response };
}
