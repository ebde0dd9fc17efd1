/**
 * The routes of all public methods, read from google.api.http at start. A
 * method that the gateway cannot serve, and two routes that could take the same
 * request, stop the start instead of surprising a caller.
 */
import {
  type DescField,
  type DescMessage,
  type DescMethod,
  type FileRegistry,
  getOption,
  ScalarType,
} from '@bufbuild/protobuf';
import { Code, WrennError } from '../../lib/errors/index.js';
import { canonicalPath, findField, resolveFieldPath } from './field-path.js';
import { matchTemplate, type PathTemplate, parseTemplate } from './path-template.js';
import type { RequestPath } from './request-path.js';
import { bySpecificity, relate } from './template-order.js';

/** What the body of a request stands for. */
export type BodyRule = { kind: 'none' } | { kind: 'message' } | { kind: 'field'; field: DescField };

/** How many messages go each way. */
export type MethodKind = DescMethod['methodKind'];

export interface Route {
  /** gRPC path, such as `/wrenn.v1.SandboxService/GetSandbox`. */
  rpcPath: string;
  kind: MethodKind;
  httpMethod: string;
  template: PathTemplate;
  input: DescMessage;
  output: DescMessage;
  body: BodyRule;
  /** The field of the answer that is the body; the whole answer when undefined. */
  responseField: DescField | undefined;
}

export interface RouteMatch {
  route: Route;
  /** Values of the path's variables by field path. */
  variables: Map<string, string>;
}

/** A google.api.HttpRule as the descriptor set holds it. */
interface HttpRule {
  pattern: { case?: string; value?: string | { kind: string; path: string } };
  body: string;
  responseBody: string;
  additionalBindings: HttpRule[];
}

export class RouteTable {
  readonly routes: readonly Route[];

  constructor(routes: Route[]) {
    refuseAmbiguous(routes);
    this.routes = [...routes].sort((a, b) => bySpecificity(a.template, b.template));
  }

  /** The methods that a path takes; empty when there is no such path. */
  methodsOf(path: RequestPath): string[] {
    const methods = this.routes
      .filter(({ template }) => matchTemplate(template, path))
      .flatMap(({ httpMethod }) => (httpMethod === 'GET' ? ['GET', 'HEAD'] : [httpMethod]));
    return methods.length === 0 ? [] : [...new Set([...methods, 'OPTIONS'])].sort();
  }

  /** Finds the route of a request; HEAD goes where GET goes. Throws NOT_FOUND or UNIMPLEMENTED. */
  find(httpMethod: string, path: RequestPath): RouteMatch {
    const wanted = httpMethod === 'HEAD' ? 'GET' : httpMethod;
    for (const route of this.routes) {
      if (route.httpMethod !== wanted) continue;
      const variables = matchTemplate(route.template, path);
      if (variables) return { route, variables };
    }
    const allowed = this.methodsOf(path);
    if (allowed.length === 0) {
      throw new WrennError(Code.NOT_FOUND, 'ROUTE_NOT_FOUND', 'no route has this path');
    }
    throw new WrennError(
      Code.UNIMPLEMENTED,
      'METHOD_NOT_ALLOWED',
      `this path takes ${allowed.join(', ')}`,
      { metadata: { allow: allowed.join(', ') } },
    );
  }
}

/** Reads the routes of every service of a package; throws for a method that cannot be served. */
export function buildRouteTable(registry: FileRegistry, packageName: string): RouteTable {
  const methods = [...registry.files]
    .filter((file) => file.proto.package === packageName)
    .flatMap((file) => file.services.flatMap((service) => service.methods));
  return new RouteTable(methods.flatMap((method) => routesOf(method, registry)));
}

function routesOf(method: DescMethod, registry: FileRegistry): Route[] {
  const name = `${method.parent.typeName}.${method.name}`;
  const extension = registry.getExtension('google.api.http');
  if (!extension) throw new Error('the descriptor set lacks google/api/annotations.proto');
  const rule = getOption(method, extension) as unknown as HttpRule;
  return [rule, ...rule.additionalBindings].map((binding) => {
    try {
      return toRoute(method, binding);
    } catch (cause) {
      throw new Error(`${name}: ${(cause as Error).message}`, { cause });
    }
  });
}

function toRoute(method: DescMethod, rule: HttpRule): Route {
  const { input, output } = method;
  const { httpMethod, path } = patternOf(rule);
  const template = parseTemplate(path);
  for (const { fieldPath } of template.variables) checkVariable(input, fieldPath);
  return {
    rpcPath: `/${method.parent.typeName}/${method.name}`,
    kind: method.methodKind,
    httpMethod,
    template,
    input,
    output,
    body: bodyRule(input, rule.body),
    responseField: rule.responseBody ? fieldOf(output, rule.responseBody) : undefined,
  };
}

function patternOf({ pattern }: HttpRule): { httpMethod: string; path: string } {
  const { case: kind, value } = pattern;
  if (typeof value === 'string' && kind) return { httpMethod: kind.toUpperCase(), path: value };
  if (typeof value === 'object') return { httpMethod: value.kind, path: value.path };
  throw new Error('the method has no google.api.http binding');
}

function checkVariable(input: DescMessage, fieldPath: string): void {
  const fields = resolveFieldPath(input, fieldPath) ?? [];
  const field = fields.at(-1);
  const isPlain = field?.fieldKind === 'enum' || field?.fieldKind === 'scalar';
  if (!isPlain || field.scalar === ScalarType.BYTES || canonicalPath(fields) !== fieldPath) {
    throw new Error(`path variable ${fieldPath} is no scalar field of ${input.typeName}`);
  }
}

function bodyRule(input: DescMessage, body: string): BodyRule {
  if (body === '') return { kind: 'none' };
  return body === '*' ? { kind: 'message' } : { kind: 'field', field: fieldOf(input, body) };
}

function fieldOf(message: DescMessage, name: string): DescField {
  const field = findField(message, name);
  if (!field) throw new Error(`${message.typeName} has no field ${name}`);
  return field;
}

function refuseAmbiguous(routes: Route[]): void {
  routes.forEach((route, index) => {
    for (const other of routes.slice(index + 1)) {
      if (route.httpMethod !== other.httpMethod) continue;
      const relation = relate(route.template, other.template);
      if (relation === 'same' || relation === 'crossing') {
        throw new Error(
          `${route.httpMethod} ${route.template.text} (${route.rpcPath}) and ` +
            `${other.template.text} (${other.rpcPath}) take the same requests`,
        );
      }
    }
  });
}
