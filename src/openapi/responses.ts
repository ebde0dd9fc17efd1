/** What an operation answers: a message, the bytes of a file, a stream, and its errors. */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { ErrorResponses } from './error-responses.js';
import { STATUS_SCHEMA } from './error-schemas.js';
import { fieldSchema } from './field-schema.js';
import { reasonsOf } from './operation-errors.js';
import type { Operation } from './operations.js';
import type { Schemas } from './schemas.js';
import { upgradeResponses } from './websocket.js';
import { RAW_BYTES, type Schema } from './well-known.js';

const REQUEST_ID = { 'x-request-id': { $ref: '#/components/headers/RequestId' } };

export interface ResponseParts {
  schemas: Schemas;
  errors: ErrorResponses;
  /** An answer, or the messages of a stream. */
  example: JsonValue | undefined;
}

/** All responses of an operation by HTTP status. */
export function responses(operation: Operation, parts: ResponseParts): JsonObject {
  return {
    ...(operation.kind === 'bidi_streaming'
      ? upgradeResponses(operation, parts.schemas, parts.errors.meanings)
      : { 200: success(operation, parts) }),
    ...parts.errors.referencesTo(reasonsOf(operation)),
  };
}

function success(operation: Operation, { schemas, example }: ResponseParts): JsonObject {
  const { route, kind } = operation;
  const { output, response } = route;
  const headers = REQUEST_ID;
  if (response.kind === 'raw') {
    const description = 'The bytes of the file.';
    return { description, headers, content: { 'application/octet-stream': { schema: RAW_BYTES } } };
  }
  if (kind === 'server_streaming') {
    const content = streamContent(operation, schemas, example);
    return { description: STREAM_DESCRIPTION, headers, content };
  }
  const schema =
    response.kind === 'field' ? fieldSchema(response.field, schemas) : schemas.reference(output);
  const json = { schema, ...(example === undefined ? {} : { example }) };
  return { description: 'The answer.', headers, content: { 'application/json': json } };
}

const STREAM_DESCRIPTION =
  'The messages as they come. `Accept: text/event-stream` asks for server-sent events, anything ' +
  'else gets one JSON value a line. An error before the first message is answered with its HTTP ' +
  'status; a later one is the last line, or event, of the stream.';

function streamContent(
  { route }: Operation,
  schemas: Schemas,
  example: JsonValue | undefined,
): JsonObject {
  const { output } = route;
  const line = schemas.add(`${schemas.nameOf(output)}Line`, {
    description: 'One line of a stream: a message, or as the last one the error that ended it.',
    oneOf: [objectOf('result', schemas.reference(output)), objectOf('error', STATUS_SCHEMA)],
  });
  const events = Array.isArray(example) ? example : [];
  return {
    'application/x-ndjson': {
      schema: {
        type: 'string',
        contentMediaType: 'application/x-ndjson',
        contentSchema: { type: 'array', items: line },
      },
      example: events.map((event) => `${JSON.stringify({ result: event })}\n`).join(''),
    },
    'text/event-stream': {
      schema: {
        type: 'string',
        description:
          `Events named \`message\`, whose data is the JSON of ${output.name}, and at most one ` +
          'named `error`, whose data is that of google.rpc.Status.',
        contentMediaType: 'text/event-stream',
      },
      example: events.map((event) => `event: message\ndata: ${JSON.stringify(event)}\n\n`).join(''),
    },
  };
}

function objectOf(name: string, schema: Schema): Schema {
  const properties = { [name]: schema };
  return { type: 'object', properties, required: [name], additionalProperties: false };
}
