/** The public services, as they are added to a gRPC server. */
import type { Server } from '@grpc/grpc-js';
import { ApiKeyServiceService } from '../gen/ts/wrenn/v1/api_key.js';
import { AuthServiceService } from '../gen/ts/wrenn/v1/auth.js';
import { FileServiceService } from '../gen/ts/wrenn/v1/file.js';
import { ProcessServiceService } from '../gen/ts/wrenn/v1/process.js';
import { SandboxServiceService } from '../gen/ts/wrenn/v1/sandbox.js';
import { SnapshotServiceService } from '../gen/ts/wrenn/v1/snapshot.js';
import { serve } from '../lib/rpc/service.js';
import { createRequestCheck } from '../lib/rpc/validation.js';
import { apiKeyHandlers } from './api/api-key.js';
import { authHandlers } from './api/auth.js';
import { fileHandlers } from './api/file.js';
import { processHandlers } from './api/process.js';
import { sandboxHandlers } from './api/sandbox.js';
import { snapshotHandlers } from './api/snapshot.js';
import { type Authenticate, createAuthenticate } from './auth/authenticate.js';
import { type AuthPolicy, readAuthPolicy } from './auth/policy.js';
import type { ClientAddressOf } from './client-address.js';
import type { Context } from './context.js';

export const PUBLIC_SERVICES = [
  AuthServiceService,
  ApiKeyServiceService,
  SandboxServiceService,
  SnapshotServiceService,
  ProcessServiceService,
  FileServiceService,
];

/**
 * Which credential each method asks for, and the check of it.
 * @throws Error when a method does not say.
 */
export function createAuthentication({ tokens, apiKeyVerifier, stores }: Context): {
  policy: AuthPolicy;
  authenticate: Authenticate;
} {
  const policy = readAuthPolicy(PUBLIC_SERVICES);
  const authenticate = createAuthenticate({
    ...{ policy, tokens },
    apiKeys: apiKeyVerifier,
    users: stores.users,
  });
  return { policy, authenticate };
}

export function addServices(
  server: Server,
  context: Context,
  clientAddressOf: ClientAddressOf,
  authenticate: Authenticate,
): void {
  const { auth, apiKeys, snapshots, processes, files } = context;
  const options = {
    ...{ log: context.log, authenticate },
    validate: createRequestCheck(),
  };
  serve(server, AuthServiceService, authHandlers(auth, clientAddressOf), options);
  serve(server, ApiKeyServiceService, apiKeyHandlers(apiKeys), options);
  serve(server, SandboxServiceService, sandboxHandlers(context), options);
  serve(server, SnapshotServiceService, snapshotHandlers(snapshots), options);
  serve(server, ProcessServiceService, processHandlers(processes), options);
  serve(server, FileServiceService, fileHandlers(files), options);
}
