/** A control plane on real sockets and a real Postgres, before a host agent in memory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { ApiKeyServiceService } from '../../gen/ts/wrenn/v1/api_key.js';
import { AuthServiceService, type Session } from '../../gen/ts/wrenn/v1/auth.js';
import { FileServiceService } from '../../gen/ts/wrenn/v1/file.js';
import { ProcessServiceService } from '../../gen/ts/wrenn/v1/process.js';
import {
  type CreateSandboxRequest,
  type ListSandboxesRequest,
  SandboxServiceService,
  TimeoutAction,
} from '../../gen/ts/wrenn/v1/sandbox.js';
import { SnapshotServiceService } from '../../gen/ts/wrenn/v1/snapshot.js';
import { randomId } from '../../lib/ids/random-id.js';
import { type Log, silentLog } from '../../lib/log/log.js';
import type { PostgresConnection } from '../../lib/postgres/connection.js';
import { type ClientCallOptions, createClient, type RpcClient } from '../../lib/rpc/client.js';
import { type ControlPlaneConfig, readConfig } from '../../src/config.js';
import { type ControlPlane, startControlPlane } from '../../src/server.js';
import { FakeHostAgent } from './fake-host-agent.js';
import { testPostgres } from './postgres.js';

const CALL_TIMEOUT_MS = 15_000;
export const PASSWORD = 'correct horse battery staple';

export interface Clients {
  auth: RpcClient<typeof AuthServiceService>;
  apiKeys: RpcClient<typeof ApiKeyServiceService>;
  sandboxes: RpcClient<typeof SandboxServiceService>;
  snapshots: RpcClient<typeof SnapshotServiceService>;
  processes: RpcClient<typeof ProcessServiceService>;
  files: RpcClient<typeof FileServiceService>;
  close(): void;
}

/** A user with a team and a key of it. */
export interface Account {
  email: string;
  session: Session;
  key: string;
  apiKeyId: string;
  /** Call options with the access token. */
  asUser: ClientCallOptions;
  /** Call options with the API key. */
  asTeam: ClientCallOptions;
}

export interface TestControlPlane {
  directory: string;
  agent: FakeHostAgent;
  config: ControlPlaneConfig;
  controlPlane: ControlPlane;
  clients: Clients;
  /** Ends the control plane and starts it again on the same database and folders. */
  restart(): Promise<void>;
  signUp(): Promise<Account>;
}

export interface TestControlPlaneOptions {
  environment?: NodeJS.ProcessEnv;
  log?: Log;
  /** A Postgres of the test's own; the shared one otherwise. */
  connection?: () => Promise<PostgresConnection>;
}

/** Calls without a credential. */
export const ANYBODY: ClientCallOptions = { timeoutMs: CALL_TIMEOUT_MS };

/** Gives a suite a control plane with its own agent, folders and schema. To be called in `describe`. */
export function useControlPlane(options: TestControlPlaneOptions = {}): TestControlPlane {
  const result = {} as TestControlPlane;
  const start = async () => {
    const connection = await (options.connection ?? testPostgres)();
    result.controlPlane = await startControlPlane(result.config, options.log ?? silentLog, {
      connection,
    });
    result.clients = connectClients(result.controlPlane.grpcAddress);
  };
  const stop = async () => {
    result.clients?.close();
    await result.controlPlane?.close();
  };
  before(async function () {
    this.timeout(120_000);
    result.directory = await mkdtemp(join(tmpdir(), 'wrenn-cp-'));
    result.config = testConfig(result.directory, options.environment);
    result.agent = new FakeHostAgent(result.config.agentSocketPath);
    result.restart = async () => {
      await stop();
      await start();
    };
    result.signUp = () => signUp(result.clients);
    await result.agent.start();
    await start();
  });
  after(async function () {
    this.timeout(60_000);
    await result.controlPlane?.internal.database.query((knex) =>
      knex.raw('drop schema if exists ?? cascade', [result.config.databaseSchema]),
    );
    await stop();
    await result.agent?.stop();
    if (result.directory) await rm(result.directory, { recursive: true, force: true });
  });
  return result;
}

function testConfig(directory: string, environment: NodeJS.ProcessEnv = {}): ControlPlaneConfig {
  return readConfig({
    WRENN_STATE_DIR: directory,
    WRENN_RUN_DIR: directory,
    WRENN_GRPC_ADDRESS: '127.0.0.1:0',
    WRENN_HTTP_ADDRESS: '127.0.0.1:0',
    DATABASE_SCHEMA: `test_${randomId(12)}`,
    ...environment,
  });
}

/** Clients of all public services. */
export function connectClients(address: string): Clients {
  const connect = <S extends Parameters<typeof createClient>[0]>(definition: S) =>
    createClient(definition, address, credentials.createInsecure());
  const clients = {
    auth: connect(AuthServiceService),
    apiKeys: connect(ApiKeyServiceService),
    sandboxes: connect(SandboxServiceService),
    snapshots: connect(SnapshotServiceService),
    processes: connect(ProcessServiceService),
    files: connect(FileServiceService),
  };
  return {
    ...clients,
    close: () => Object.values(clients).forEach((client) => void client.close()),
  };
}

async function signUp({ auth, apiKeys }: Clients): Promise<Account> {
  const email = `user-${randomId(12)}@example.com`;
  const session = await auth.signUp({ email, password: PASSWORD, name: '' }, ANYBODY);
  const asUser = withMetadata({ authorization: `Bearer ${session.accessToken}` });
  const { key, apiKey } = await apiKeys.createApiKey({ name: 'test' }, asUser);
  return {
    email,
    session,
    key,
    apiKeyId: apiKey?.apiKeyId ?? '',
    asUser,
    asTeam: withMetadata({ 'x-api-key': key }),
  };
}

export function withMetadata(metadata: Record<string, string>): ClientCallOptions {
  return { ...ANYBODY, metadata };
}

/** The first page of all sandboxes, or what else is asked for. */
export function sandboxPage(fields: Partial<ListSandboxesRequest> = {}): ListSandboxesRequest {
  return { pageSize: 0, pageToken: '', states: [], metadata: [], ...fields };
}

/** A create request in which everything is left to the defaults. */
export function plainSandbox(fields: Partial<CreateSandboxRequest> = {}): CreateSandboxRequest {
  const nothing = { template: '', vcpus: 0, memoryMb: 0, timeoutSec: 0, env: {}, metadata: {} };
  const onTimeout = TimeoutAction.TIMEOUT_ACTION_UNSPECIFIED;
  return { ...nothing, onTimeout, ...fields };
}
