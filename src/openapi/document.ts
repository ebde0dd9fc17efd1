/**
 * The OpenAPI 3.1 document of the public API. All of it is read from the
 * descriptor set, as the gateway reads its routes; only the examples and the
 * lists of errors stand in tables.
 */
import type { FileRegistry, JsonObject, JsonValue } from '@bufbuild/protobuf';
import { commentOf, summaryOf } from './comments.js';
import { ErrorResponses, sharedHeaders } from './error-responses.js';
import { addErrorSchemas, reasonMeanings } from './error-schemas.js';
import type { OperationExample } from './examples.js';
import { API_DESCRIPTION } from './introduction.js';
import { type Operation, readOperations } from './operations.js';
import { openApiPath, type Parameter, pathParameters, queryParameters } from './parameters.js';
import { requestBody } from './request-body.js';
import { responses } from './responses.js';
import { Schemas } from './schemas.js';
import { websocketDescription, websocketExtension } from './websocket.js';

export interface DocumentOptions {
  registry: FileRegistry;
  /** The package whose services are described. */
  packageName: string;
  version: string;
  examples: ReadonlyMap<string, OperationExample>;
  /** Examples of parameters by name, where an operation has none of its own. */
  parameterExamples: Readonly<Record<string, JsonValue>>;
}

/** Makes the document; throws for a contract that it cannot say. */
export function buildDocument(options: DocumentOptions): JsonObject {
  const { registry, packageName, version } = options;
  const operations = readOperations(registry, packageName);
  const received = operations.map(({ route }) => route.output);
  const schemas = new Schemas(registry, packageName, received);
  const meanings = reasonMeanings();
  const errors = new ErrorResponses(meanings);
  addErrorSchemas(schemas, meanings);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Wrenn',
      version,
      summary: 'MicroVM sandboxes that start, pause, resume and fork like processes.',
      description: API_DESCRIPTION,
      license: { name: 'Apache License 2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The gateway that serves this document.' }],
    tags: tagsOf(operations),
    paths: pathsOf(operations, { ...options, schemas, errors }),
    components: {
      securitySchemes: SECURITY_SCHEMES,
      headers: sharedHeaders(),
      responses: errors.all(),
      schemas: schemas.all(),
    },
  };
}

type Parts = DocumentOptions & { schemas: Schemas; errors: ErrorResponses };

const SECURITY_SCHEMES: JsonObject = {
  accessToken: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'Access token of a user, as LogIn and SignUp return it.',
  },
  apiKey: {
    type: 'apiKey',
    in: 'header',
    name: 'x-api-key',
    description: 'API key of a team, as CreateApiKey returns it.',
  },
};

const SECURITY: Record<Operation['credential'], JsonValue> = {
  none: [],
  user: [{ accessToken: [] }],
  'api-key': [{ apiKey: [] }],
};

function tagsOf(operations: Operation[]): JsonObject[] {
  const services = new Set(operations.map(({ method }) => method.parent));
  return [...services].map((service) => ({
    name: service.name,
    description: commentOf(service),
  }));
}

function pathsOf(operations: Operation[], parts: Parts): JsonObject {
  const paths: Record<string, JsonObject> = {};
  for (const operation of operations) {
    const path = openApiPath(operation.route);
    const httpMethod = operation.route.httpMethod.toLowerCase();
    const others = paths[path] ?? {};
    if (others[httpMethod]) throw new Error(`${operation.name}: ${path} stands twice`);
    paths[path] = { ...others, [httpMethod]: operationObject(operation, parts) };
  }
  return paths;
}

function operationObject(operation: Operation, parts: Parts): JsonObject {
  const { method, name, operationId, credential, kind } = operation;
  const { schemas, errors } = parts;
  const example = parts.examples.get(name) ?? {};
  const comment = commentOf(method);
  const isWebSocket = kind === 'bidi_streaming';
  const body = requestBody(operation, schemas, example.request);
  const parameters = parametersOf(operation, parts, example);
  return {
    operationId,
    tags: [method.parent.name],
    summary: summaryOf(method.name, comment),
    description: isWebSocket ? `${comment}\n\n${websocketDescription(operation)}` : comment,
    security: SECURITY[credential] ?? [],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: body } : {}),
    responses: responses(operation, { schemas, errors, example: example.response }),
    ...(isWebSocket
      ? {
          'x-websocket': websocketExtension(operation, schemas, {
            request: example.request,
            response: example.response,
          }),
        }
      : {}),
  };
}

function parametersOf(
  { route, kind }: Operation,
  { schemas, parameterExamples }: Parts,
  { parameters: own = {} }: OperationExample,
): Parameter[] {
  // The first message of a conversation says all that a query could.
  const query = kind === 'bidi_streaming' ? [] : queryParameters(route, schemas);
  return [...pathParameters(route, schemas), ...query].map((parameter) => {
    const example = own[parameter.name] ?? parameterExamples[parameter.name];
    return example === undefined ? parameter : { ...parameter, example };
  });
}
