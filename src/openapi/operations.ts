/** The operations of the API: one for each HTTP binding of each method. */
import { type DescMethod, type FileRegistry, getOption } from '@bufbuild/protobuf';
import { AuthRequirement } from '../../gen/ts/wrenn/v1/options.js';
import { buildRouteTable, type Route } from '../gateway/route-table.js';

export interface Operation {
  /** Service and method without the package, such as `FileService.Stat`. */
  name: string;
  /** Unique; further bindings of a method are numbered. */
  operationId: string;
  method: DescMethod;
  kind: DescMethod['methodKind'];
  route: Route;
  credential: 'none' | 'user' | 'api-key';
}

/** All operations of a package, in the order of file names and methods. */
export function readOperations(registry: FileRegistry, packageName: string): Operation[] {
  const { routes } = buildRouteTable(registry, packageName);
  const methods = [...registry.files]
    .filter((file) => file.proto.package === packageName)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((file) => file.services.flatMap((service) => service.methods));
  return methods.flatMap((method) => {
    const rpcPath = `/${method.parent.typeName}/${method.name}`;
    const bindings = routes.filter((route) => route.rpcPath === rpcPath);
    return bindings.map((route, index) => toOperation(registry, method, route, index));
  });
}

function toOperation(
  registry: FileRegistry,
  method: DescMethod,
  route: Route,
  index: number,
): Operation {
  const service = method.parent.name;
  return {
    name: `${service}.${method.name}`,
    operationId: `${service}_${method.name}${index === 0 ? '' : `_${index + 1}`}`,
    method,
    kind: method.methodKind,
    route,
    credential: credentialOf(registry, method),
  };
}

function credentialOf(registry: FileRegistry, method: DescMethod): Operation['credential'] {
  const extension = registry.getExtension('wrenn.v1.auth');
  switch (extension && getOption(method, extension)) {
    case AuthRequirement.AUTH_REQUIREMENT_USER:
      return 'user';
    case AuthRequirement.AUTH_REQUIREMENT_API_KEY:
      return 'api-key';
    default:
      return 'none';
  }
}
