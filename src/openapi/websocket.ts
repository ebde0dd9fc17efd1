/** A bidirectional stream over HTTP: a WebSocket, which OpenAPI has no words for. */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { DEFAULT_WEB_SOCKET_LIMITS, SUBPROTOCOL } from '../gateway/websocket/limits.js';
import { AUTH_PREFIX } from '../gateway/websocket/subprotocols.js';
import { type ReasonMeanings, STATUS_SCHEMA, statusExample } from './error-schemas.js';
import type { Operation } from './operations.js';
import type { Schemas } from './schemas.js';

const UPGRADE_REQUIRED = 426;
const {
  webSocketMessageBytesMax,
  webSocketLaterMessageBytesMax,
  webSocketPingIntervalMs,
  webSocketPongTimeoutMs,
} = DEFAULT_WEB_SOCKET_LIMITS;

/** What is said of every WebSocket, after the method's own comment. */
export function websocketDescription({ route }: Operation): string {
  return [
    `The subprotocol \`${SUBPROTOCOL}\` must be offered. A page, which cannot set ` +
      `\`x-api-key\`, offers \`${AUTH_PREFIX}<the key in unpadded base64url>\` as a ` +
      'second one. `Origin`, when there, must be the address of the gateway or one that it allows.',
    `A text message of the client is the JSON of one ${route.input.name}; an empty one says that no ` +
      `more follow. A text message of the server is the JSON of one ${route.output.name}. Binary ` +
      `messages are refused (close code 1003). A message has at most ${webSocketMessageBytesMax} bytes, ` +
      `one after the first at most ${webSocketLaterMessageBytesMax}.`,
    'The server closes with 1000 when all is well; else the last message is ' +
      '`{"error": google.rpc.Status}` and the close code is 4000 plus the gRPC code. It pings every ' +
      `${webSocketPingIntervalMs / 1000} seconds and cuts off a client that does not answer within ` +
      `${webSocketPongTimeoutMs / 1000} seconds.`,
  ].join('\n\n');
}

/** Machine-readable: the schemas of the messages, and a conversation. */
export function websocketExtension(
  operation: Operation,
  schemas: Schemas,
  example: { request: JsonValue | undefined; response: JsonValue | undefined },
): JsonObject {
  return {
    subprotocol: SUBPROTOCOL,
    'credential-subprotocol-prefix': AUTH_PREFIX,
    ...messageSchemas(operation, schemas),
    example: { requests: example.request ?? [], responses: example.response ?? [] },
  };
}

export function upgradeResponses(
  operation: Operation,
  schemas: Schemas,
  meanings: ReasonMeanings,
): JsonObject {
  const { request, response } = messageSchemas(operation, schemas);
  return {
    101: {
      description: 'The connection is a WebSocket now; the schemas are those of its messages.',
      content: { 'application/json': { schema: { oneOf: [request, response] } } },
    },
    [UPGRADE_REQUIRED]: {
      description:
        '- `METHOD_NOT_ALLOWED` (UNIMPLEMENTED): The request does not ask for a WebSocket.',
      headers: { upgrade: { description: '`websocket`', schema: { type: 'string' } } },
      content: {
        'application/json': {
          schema: STATUS_SCHEMA,
          example: statusExample('METHOD_NOT_ALLOWED', UPGRADE_REQUIRED, meanings),
        },
      },
      'x-reasons': ['METHOD_NOT_ALLOWED'],
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
