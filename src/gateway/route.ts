/**
 * One route: what google.api.http says of one binding of a method, checked when
 * the gateway starts.
 */
import {
  type DescField,
  type DescMessage,
  type DescMethod,
  getOption,
  type Registry,
  ScalarType,
} from '@bufbuild/protobuf';
import { canonicalPath, findField, resolveFieldPath } from './field-path.js';
import { type PathTemplate, parseTemplate } from './path-template.js';

/**
 * What the body of a request or an answer stands for: nothing, the whole message,
 * one of its fields, or the bytes of a google.api.HttpBody, which is a field or,
 * without one, the message itself.
 */
export type BodyRule =
  | { kind: 'none' }
  | { kind: 'message' }
  | { kind: 'field'; field: DescField }
  | { kind: 'raw'; field: DescField | undefined };

/** The same of an answer, which always has a body. */
export type ResponseRule = Exclude<BodyRule, { kind: 'none' }>;

/** How many messages go each way. */
export type MethodKind = DescMethod['methodKind'];

export interface Route {
  /** gRPC path, such as `/wrenn.v1.SandboxService/GetSandbox`. */
  rpcPath: string;
  kind: MethodKind;
  /** As HTTP writes it; `*` takes every one. */
  httpMethod: string;
  template: PathTemplate;
  input: DescMessage;
  output: DescMessage;
  body: BodyRule;
  response: ResponseRule;
  /** The client stream that takes multipart/form-data in place of this method. */
  upload: Route | undefined;
}

/** A google.api.HttpRule as the descriptor set holds it. */
interface HttpRule {
  pattern: { case?: string; value?: string | { kind: string; path: string } };
  body: string;
  responseBody: string;
  additionalBindings: HttpRule[];
}

export const ANY_METHOD = '*';

const HTTP_BODY = 'google.api.HttpBody';
const HTTP_METHOD = /^(?:[A-Z][A-Z-]*|\*)$/;
/** The gateway answers the one itself, and the other is no request. */
const RESERVED_METHODS = new Set(['OPTIONS', 'CONNECT']);

/** All routes of a method; throws, naming it, when the gateway could not serve one. */
export function routesOf(method: DescMethod, registry: Registry): Route[] {
  try {
    const upload = uploadMethodOf(method, registry);
    return bindingsOf(method, registry).map((rule) => {
      const route = toRoute(method, rule);
      return upload ? { ...route, upload: toUploadRoute(route, upload, registry) } : route;
    });
  } catch (cause) {
    const name = `${method.parent.typeName}.${method.name}`;
    throw new Error(`${name}: ${(cause as Error).message}`, { cause });
  }
}

function bindingsOf(method: DescMethod, registry: Registry): HttpRule[] {
  const extension = registry.getExtension('google.api.http');
  if (!extension) throw new Error('the descriptor set lacks google/api/annotations.proto');
  const rule = getOption(method, extension) as unknown as HttpRule;
  if (rule.additionalBindings.some((binding) => binding.additionalBindings.length > 0)) {
    throw new Error('an additional binding holds additional bindings');
  }
  return [rule, ...rule.additionalBindings];
}

function toRoute(method: DescMethod, rule: HttpRule): Route {
  const { input, output } = method;
  const { httpMethod, path } = patternOf(rule);
  const template = parseTemplate(path);
  checkVariables(input, template);
  const route: Route = {
    rpcPath: `/${method.parent.typeName}/${method.name}`,
    kind: method.methodKind,
    httpMethod,
    template,
    input,
    output,
    body: rule.body === '' ? { kind: 'none' } : bodyRule(input, rule.body),
    response: bodyRule(output, rule.responseBody || '*'),
    upload: undefined,
  };
  checkStreams(route);
  return route;
}

function patternOf({ pattern }: HttpRule): { httpMethod: string; path: string } {
  const { case: kind, value } = pattern;
  if (typeof value === 'string' && kind) return { httpMethod: kind.toUpperCase(), path: value };
  if (typeof value !== 'object') throw new Error('the method has no google.api.http binding');
  const { kind: httpMethod, path } = value;
  if (!HTTP_METHOD.test(httpMethod) || RESERVED_METHODS.has(httpMethod)) {
    throw new Error(`no route can be of the HTTP method ${httpMethod}`);
  }
  return { httpMethod, path };
}

function checkVariables(input: DescMessage, { variables }: PathTemplate): void {
  for (const { fieldPath } of variables) {
    const fields = resolveFieldPath(input, fieldPath) ?? [];
    const field = fields.at(-1);
    const isPlain = field?.fieldKind === 'enum' || field?.fieldKind === 'scalar';
    if (!isPlain || field.scalar === ScalarType.BYTES || canonicalPath(fields) !== fieldPath) {
      throw new Error(`path variable ${fieldPath} is no scalar field of ${input.typeName}`);
    }
  }
}

function bodyRule(message: DescMessage, name: string): ResponseRule {
  if (name === '*') {
    const isRaw = message.typeName === HTTP_BODY;
    return isRaw ? { kind: 'raw', field: undefined } : { kind: 'message' };
  }
  const field = findField(message, name);
  if (!field) throw new Error(`${message.typeName} has no field ${name}`);
  const isRaw = field.fieldKind === 'message' && field.message.typeName === HTTP_BODY;
  return { kind: isRaw ? 'raw' : 'field', field };
}

/** A stream from the client is a raw body, or a WebSocket, which opens as a GET without a body. */
function checkStreams({ kind, httpMethod, body, response }: Route): void {
  if (kind === 'client_streaming' && body.kind !== 'raw') {
    throw new Error(`the body of a client stream must be a ${HTTP_BODY}`);
  }
  if (kind !== 'bidi_streaming') return;
  if (httpMethod !== 'GET' || body.kind !== 'none' || response.kind !== 'message') {
    throw new Error('a stream in both directions must be a GET without body and response_body');
  }
}

/** The method that the option `multipart` names, if any. */
function uploadMethodOf(method: DescMethod, registry: Registry): DescMethod | undefined {
  const extension = registry.getExtension('wrenn.v1.multipart');
  const name = extension ? (getOption(method, extension) as unknown as string) : '';
  if (name === '') return undefined;
  const upload = method.parent.methods.find((other) => other.name === name);
  if (upload?.methodKind !== 'client_streaming') {
    throw new Error(`the service has no client stream ${name} to take multipart/form-data`);
  }
  return upload;
}

/** The route of an upload method at the place of another one. */
function toUploadRoute(route: Route, method: DescMethod, registry: Registry): Route {
  if (route.kind !== 'unary' || route.body.kind !== 'message') {
    throw new Error('multipart/form-data is for a unary method whose body is the message');
  }
  const [rule] = bindingsOf(method, registry);
  if (!rule) throw new Error('the method has no google.api.http binding');
  const upload = toRoute(method, rule);
  checkVariables(upload.input, route.template);
  return { ...upload, httpMethod: route.httpMethod, template: route.template };
}
