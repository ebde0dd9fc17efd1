/**
 * The routes of all public methods, read from google.api.http at start. A
 * method that the gateway cannot serve, and two routes that could take the same
 * request, stop the start instead of surprising a caller.
 */
import type { FileRegistry } from '@bufbuild/protobuf';
import { Code, WrennError } from '../../lib/errors/index.js';
import { matchTemplate } from './path-template.js';
import type { RequestPath } from './request-path.js';
import { ANY_METHOD, type Route, routesOf } from './route.js';
import { bySpecificity, relate } from './template-order.js';

export type { BodyRule, MethodKind, ResponseRule, Route } from './route.js';

export interface RouteMatch {
  route: Route;
  /** Values of the path's variables by field path. */
  variables: Map<string, string>;
}

/** What a route of any method takes. */
const ANY_METHOD_STANDS_FOR = ['DELETE', 'GET', 'PATCH', 'POST', 'PUT'];

export class RouteTable {
  readonly routes: readonly Route[];

  constructor(routes: Route[]) {
    refuseAmbiguous(routes);
    this.routes = [...routes].sort(bySpecificityAndMethod);
  }

  /** The methods that a path takes; empty when there is no such path. */
  methodsOf(path: RequestPath): string[] {
    const methods = this.routes
      .filter(({ template }) => matchTemplate(template, path))
      .flatMap(methodsOf);
    return methods.length === 0 ? [] : [...new Set([...methods, 'OPTIONS'])].sort();
  }

  /** Finds the route of a request; HEAD goes where GET goes. Throws NOT_FOUND or UNIMPLEMENTED. */
  find(httpMethod: string, path: RequestPath): RouteMatch {
    for (const route of this.routes) {
      if (!methodsOf(route).includes(httpMethod)) continue;
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

/** Of two routes of one path, the one that names its method stands before the one that takes it along. */
function bySpecificityAndMethod(a: Route, b: Route): number {
  return bySpecificity(a.template, b.template) || methodsOf(a).length - methodsOf(b).length;
}

/** The methods that a route takes; HEAD comes with GET, but not for a stream. */
function methodsOf({ httpMethod, kind }: Route): string[] {
  const methods = httpMethod === ANY_METHOD ? ANY_METHOD_STANDS_FOR : [httpMethod];
  return methods.includes('GET') && kind === 'unary' ? [...methods, 'HEAD'] : methods;
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
