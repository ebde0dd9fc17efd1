/** The parts of the control plane, each given what it needs. Nothing here runs yet. */
import { join } from 'node:path';
import type { Log } from '../lib/log/log.js';
import type { PostgresConnection } from '../lib/postgres/connection.js';
import { ApiKeyOperations } from './app/api-key.js';
import { AuthOperations } from './app/auth.js';
import { Background } from './app/background.js';
import { SandboxCreator } from './app/create-sandbox.js';
import { FileOperations } from './app/file.js';
import { SandboxForker } from './app/fork-sandbox.js';
import { InFlight } from './app/in-flight.js';
import { OpenStreams } from './app/open-streams.js';
import { SandboxPauser } from './app/pause-sandbox.js';
import { ProcessOperations } from './app/process.js';
import { SandboxResumer } from './app/resume-sandbox.js';
import { SandboxOperations } from './app/sandbox.js';
import { SandboxRemover } from './app/sandbox-remover.js';
import { SnapshotOperations } from './app/snapshot.js';
import { SnapshotRemover } from './app/snapshot-remover.js';
import { ApiKeyVerifier } from './auth/api-key-verifier.js';
import { AccessTokens } from './auth/jwt.js';
import { loadJwtSecret } from './auth/jwt-secret.js';
import { LoginThrottle } from './auth/login-throttle.js';
import { PasswordHasher } from './auth/password.js';
import type { ControlPlaneConfig } from './config.js';
import { HostAgent } from './hosts/host-agent.js';
import { Reconciler } from './reconciler/reconciler.js';
import { Database } from './store/database.js';
import { createStores, type Stores } from './store/index.js';

export interface Context {
  log: Log;
  database: Database;
  stores: Stores;
  host: HostAgent;
  tokens: AccessTokens;
  apiKeyVerifier: ApiKeyVerifier;
  openStreams: OpenStreams;
  background: Background;
  reconciler: Reconciler;
  auth: AuthOperations;
  apiKeys: ApiKeyOperations;
  creator: SandboxCreator;
  sandboxes: SandboxOperations;
  pauser: SandboxPauser;
  resumer: SandboxResumer;
  forker: SandboxForker;
  snapshots: SnapshotOperations;
  processes: ProcessOperations;
  files: FileOperations;
}

export async function createContext(
  config: ControlPlaneConfig,
  connection: PostgresConnection,
  log: Log,
): Promise<Context> {
  const jwtSecretPath = join(config.stateDirectory, 'jwt-secret');
  const tokens = new AccessTokens(await loadJwtSecret(config.jwtSecret, jwtSecretPath));
  const database = new Database({ connection, schema: config.databaseSchema });
  const stores = createStores(database);
  const host = new HostAgent(config.agentSocketPath);
  const background = new Background(log);
  const inFlight = new InFlight();
  const remover = new SandboxRemover(stores.sandboxes, host);
  const snapshotRemover = new SnapshotRemover(stores.snapshots, host);
  const reconciler = new Reconciler({
    ...{ stores, host, remover, snapshotRemover, inFlight, log },
    intervalMs: config.reconcileIntervalMs,
    graceMs: config.reconcileGraceMs,
  });
  const openStreams = new OpenStreams((ids) => stores.apiKeys.existing(ids), log);
  const parts = {
    ...{ sandboxes: stores.sandboxes, host, remover, inFlight, background, log },
    streams: openStreams,
    nudge: () => reconciler.nudge(),
  };
  const { teamSandboxesMax, teamSnapshotsMax } = config;
  const sandboxes = new SandboxOperations(parts);
  const apiKeyVerifier = new ApiKeyVerifier(stores.apiKeys, log);
  return {
    ...{ log, database, stores, host, tokens, apiKeyVerifier, background, reconciler, sandboxes },
    openStreams,
    auth: new AuthOperations({
      users: stores.users,
      hasher: new PasswordHasher(),
      throttle: new LoginThrottle(),
      ...{ tokens, background },
    }),
    apiKeys: new ApiKeyOperations(stores.apiKeys, apiKeyVerifier, openStreams),
    creator: new SandboxCreator({ ...parts, stores, teamSandboxesMax }),
    pauser: new SandboxPauser(parts),
    resumer: new SandboxResumer(parts),
    forker: new SandboxForker({ ...parts, teamSandboxesMax }),
    snapshots: new SnapshotOperations({
      ...{ ...parts, snapshots: stores.snapshots, remover: snapshotRemover },
      teamSnapshotsMax,
    }),
    processes: new ProcessOperations(sandboxes, host),
    files: new FileOperations(sandboxes, host),
  };
}
