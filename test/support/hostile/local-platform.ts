/**
 * Control plane and agent with the fake driver inside this process, on real
 * sockets and a real Postgres: what hostile input does to the prototypes or the
 * memory of a server shows here.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startAgent } from '../../../agent/agent.js';
import { readConfig as readAgentConfig } from '../../../agent/config.js';
import { randomId } from '../../../lib/ids/random-id.js';
import { Rollback } from '../../../lib/lifecycle/rollback.js';
import type { Fields, Log } from '../../../lib/log/log.js';
import { readConfig } from '../../../src/config.js';
import { startControlPlane } from '../../../src/server.js';
import {
  type Account,
  ANYBODY,
  type Clients,
  connectClients,
  PASSWORD,
  withMetadata,
} from '../control-plane.js';
import { testPostgres } from '../postgres.js';
import { temporaryDirectory } from '../temporary-directory.js';

const CALL_TIMEOUT_MS = 20_000;

export interface LocalPlatform extends AsyncDisposable {
  /** Folder in whose subfolders everything lies. */
  directory: string;
  grpcAddress: string;
  httpPort: number;
  agentTarget: string;
  clients: Clients;
  /** What either server has logged as a fault of its own. */
  faults: string[];
  signUp(): Promise<Account>;
}

export async function startLocalPlatform(): Promise<LocalPlatform> {
  await using rollback = new Rollback((step, error) => console.error(step, error));
  const { path: directory, remove } = await temporaryDirectory();
  rollback.defer('folder', remove);
  const faults: string[] = [];
  const environment = await settings(directory);
  const agent = await startAgent(
    readAgentConfig({
      ...environment,
      ...{ WRENN_VMM_DRIVER: 'fake', WRENN_MEMORY_MB_MAX: '1000000', WRENN_FAKE_BOOT_MS: '0' },
      WRENN_STATE_DIR: join(directory, 'agent'),
    }),
    faultLog(faults),
  );
  rollback.defer('agent', () => agent.close());
  const config = readConfig({
    ...environment,
    ...{ WRENN_GRPC_ADDRESS: '127.0.0.1:0', WRENN_HTTP_ADDRESS: '127.0.0.1:0' },
    WRENN_STATE_DIR: join(directory, 'control-plane'),
    DATABASE_SCHEMA: `test_${randomId(12)}`,
  });
  const connection = await testPostgres();
  const controlPlane = await startControlPlane(config, faultLog(faults), { connection });
  rollback.defer('control plane', () => controlPlane.close());
  const { database } = controlPlane.internal;
  rollback.defer('schema', () =>
    database.query((knex) => knex.raw('drop schema if exists ?? cascade', [config.databaseSchema])),
  );
  const clients = connectClients(controlPlane.grpcAddress);
  rollback.defer('clients', () => clients.close());
  const owned = rollback.commit();
  return {
    ...{ directory, clients, faults },
    grpcAddress: controlPlane.grpcAddress,
    httpPort: Number(controlPlane.httpAddress.split(':').at(-1)),
    agentTarget: `unix:${config.agentSocketPath}`,
    signUp: () => signUp(clients),
    [Symbol.asyncDispose]: async () => void (await owned.undo()),
  };
}

async function settings(directory: string): Promise<NodeJS.ProcessEnv> {
  const runDirectory = join(directory, 'run');
  await mkdir(runDirectory);
  return { WRENN_RUN_DIR: runDirectory, WRENN_AGENT_SOCKET: join(runDirectory, 'agent.sock') };
}

/** A user whose credentials the calls carry. */
async function signUp({ auth, apiKeys }: Clients): Promise<Account> {
  const email = `user-${randomId(12)}@example.com`;
  const session = await auth.signUp({ email, password: PASSWORD, name: '' }, ANYBODY);
  const asUser = withMetadata({ authorization: `Bearer ${session.accessToken}` });
  const { key, apiKey } = await apiKeys.createApiKey({ name: 'test' }, asUser);
  const asTeam = { ...withMetadata({ 'x-api-key': key }), timeoutMs: CALL_TIMEOUT_MS };
  return { email, session, key, apiKeyId: apiKey?.apiKeyId ?? '', asUser, asTeam };
}

function faultLog(faults: string[], bound: Fields = {}): Log {
  const pass = () => undefined;
  return {
    ...{ warn: pass, info: pass, debug: pass },
    error: (message, { error, ...fields } = {}) => {
      const cause = error instanceof Error ? (error.cause ?? error) : error;
      faults.push(`${message} ${JSON.stringify({ ...bound, ...fields })} ${String(cause)}`);
    },
    child: (fields) => faultLog(faults, { ...bound, ...fields }),
  };
}
