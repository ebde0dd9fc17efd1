/** The public services, as they are added to a gRPC server. */
import type { Server } from '@grpc/grpc-js';
import { ApiKeyServiceService } from '../gen/ts/wrenn/v1/api_key.js';
import { AuthServiceService } from '../gen/ts/wrenn/v1/auth.js';
import { FileServiceService } from '../gen/ts/wrenn/v1/file.js';
import { ProcessServiceService } from '../gen/ts/wrenn/v1/process.js';
import { SandboxServiceService } from '../gen/ts/wrenn/v1/sandbox.js';
import { serve } from '../lib/rpc/service.js';
import { createRequestCheck } from '../lib/rpc/validation.js';
import { apiKeyHandlers } from './api/api-key.js';
import { authHandlers } from './api/auth.js';
import { fileHandlers } from './api/file.js';
import { processHandlers } from './api/process.js';
import { sandboxHandlers } from './api/sandbox.js';
import { createAuthenticate } from './auth/authenticate.js';
import { readAuthPolicy } from './auth/policy.js';
import type { ClientAddressOf } from './client-address.js';
import type { Context } from './context.js';

export const PUBLIC_SERVICES = [
  AuthServiceService,
  ApiKeyServiceService,
  SandboxServiceService,
  ProcessServiceService,
  FileServiceService,
];

/** @throws Error when a method does not say which credential it asks for. */
export function addServices(
  server: Server,
  context: Context,
  clientAddressOf: ClientAddressOf,
): void {
  const { auth, apiKeys, creator, sandboxes, processes, files } = context;
  const options = {
    log: context.log,
    authenticate: createAuthenticate({
      policy: readAuthPolicy(PUBLIC_SERVICES),
      tokens: context.tokens,
      apiKeys: context.apiKeyVerifier,
      users: context.stores.users,
    }),
    validate: createRequestCheck(),
  };
  serve(server, AuthServiceService, authHandlers(auth, clientAddressOf), options);
  serve(server, ApiKeyServiceService, apiKeyHandlers(apiKeys), options);
  serve(server, SandboxServiceService, sandboxHandlers(creator, sandboxes), options);
  serve(server, ProcessServiceService, processHandlers(processes), options);
  serve(server, FileServiceService, fileHandlers(files), options);
}
