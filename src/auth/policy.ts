/** Which credential each method asks for, as the option `wrenn.v1.auth` in its proto says. */
import { getOption } from '@bufbuild/protobuf';
import { AuthRequirement } from '../../gen/ts/wrenn/v1/options.js';
import { descriptors } from '../../lib/rpc/descriptors.js';
import type { ServiceShape } from '../../lib/rpc/method.js';
import { splitPath } from '../../lib/rpc/method.js';

export type Credential = 'none' | 'user' | 'api-key';

/** Path of a method to the credential that it asks for. */
export type AuthPolicy = ReadonlyMap<string, Credential>;

const CREDENTIALS: Partial<Record<AuthRequirement, Credential>> = {
  [AuthRequirement.AUTH_REQUIREMENT_NONE]: 'none',
  [AuthRequirement.AUTH_REQUIREMENT_USER]: 'user',
  [AuthRequirement.AUTH_REQUIREMENT_API_KEY]: 'api-key',
};

/** @throws Error when a method of the services says nothing: then no server may start. */
export function readAuthPolicy(services: readonly ServiceShape[]): AuthPolicy {
  const paths = services.flatMap((service) => Object.values(service).map(({ path }) => path));
  return new Map(paths.map((path) => [path, credentialOf(path)]));
}

function credentialOf(path: string): Credential {
  const { registry } = descriptors();
  const { service, method: name } = splitPath(path);
  const option = registry.getExtension('wrenn.v1.auth');
  const method = registry.getService(service)?.methods.find((candidate) => candidate.name === name);
  if (!option || !method) throw new Error(`no descriptor for ${path}`);
  const credential = CREDENTIALS[getOption(method, option) as AuthRequirement];
  if (!credential) throw new Error(`${path} has no option wrenn.v1.auth`);
  return credential;
}
