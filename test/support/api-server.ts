/**
 * A gRPC server of the public services whose answers a test scripts: for what
 * clients do with an answer, without a control plane behind it.
 */
import { type Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import { ApiKeyServiceService } from '../../gen/ts/wrenn/v1/api_key.js';
import { AuthServiceService } from '../../gen/ts/wrenn/v1/auth.js';
import { FileServiceService } from '../../gen/ts/wrenn/v1/file.js';
import { ProcessServiceService } from '../../gen/ts/wrenn/v1/process.js';
import { SandboxServiceService } from '../../gen/ts/wrenn/v1/sandbox.js';
import { SnapshotServiceService } from '../../gen/ts/wrenn/v1/snapshot.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { silentLog } from '../../lib/log/log.js';
import type { ServiceShape } from '../../lib/rpc/method.js';
import { type Handlers, serve } from '../../lib/rpc/service.js';

const SERVICES = {
  auth: AuthServiceService,
  apiKeys: ApiKeyServiceService,
  sandboxes: SandboxServiceService,
  snapshots: SnapshotServiceService,
  processes: ProcessServiceService,
  files: FileServiceService,
} as const;

/** The methods that a test scripts; each other one answers UNAVAILABLE. */
export type Script = {
  [K in keyof typeof SERVICES]?: Partial<Handlers<(typeof SERVICES)[K], undefined>>;
};

export interface ApiServer extends AsyncDisposable {
  /** `host:port` to connect to. */
  readonly address: string;
  /** Path and metadata of each call so far. */
  readonly calls: { path: string; metadata: Metadata }[];
}

/** Starts the server on a free port. */
export async function startApiServer(script: Script): Promise<ApiServer> {
  const server = new Server();
  const calls: ApiServer['calls'] = [];
  for (const name of Object.keys(SERVICES) as (keyof typeof SERVICES)[]) {
    const definition: ServiceShape = SERVICES[name];
    const handlers = { ...unscripted(definition), ...script[name] } as Handlers<
      ServiceShape,
      undefined
    >;
    serve(server, definition, handlers, {
      log: silentLog,
      authenticate: (path, metadata) => void calls.push({ path, metadata }),
    });
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    address: `127.0.0.1:${port}`,
    calls,
    [Symbol.asyncDispose]: async () => server.forceShutdown(),
  };
}

function unscripted(definition: ServiceShape): Handlers<ServiceShape, undefined> {
  const refuse = async () => {
    throw new WrennError(Code.UNAVAILABLE, 'UNSPECIFIED', 'the test scripts no answer');
  };
  return Object.fromEntries(Object.keys(definition).map((name) => [name, refuse]));
}
