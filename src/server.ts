/** Starts the control plane: database, services, gateway, reconciler; and stops them in the other order. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { claimDirectory } from '../lib/lifecycle/claim.js';
import { Rollback } from '../lib/lifecycle/rollback.js';
import type { Log } from '../lib/log/log.js';
import type { PostgresConnection } from '../lib/postgres/connection.js';
import { EmbeddedPostgres } from '../lib/postgres/embedded.js';
import { addressFromGateway, addressOfPeer } from './client-address.js';
import type { ControlPlaneConfig } from './config.js';
import { type Context, createContext } from './context.js';
import { startGateway } from './gateway/server.js';
import {
  addressNotUsable,
  createInternalServer,
  createPublicServer,
  listenOnAddress,
  listenOnSocket,
  shutDown,
} from './grpc-server.js';
import { Readiness } from './readiness.js';
import { ReceiveGuard } from './receive-guard.js';
import { ChangeWatch } from './reconciler/change-watch.js';
import { addReflection } from './reflection.js';
import { addServices, createAuthentication } from './services.js';
import { migrate } from './store/migrate.js';

/** Time that work in the background gets at shutdown. */
const BACKGROUND_TIMEOUT_MS = 10_000;

export interface ControlPlane {
  /** Address of the gRPC server, `host:port`. */
  grpcAddress: string;
  /** Address of the HTTP gateway, `host:port`. */
  httpAddress: string;
  /** The parts inside, for tests. */
  internal: Context;
  /** Lets calls under way end and stops everything. Idempotent. */
  close(): Promise<void>;
}

export interface ControlPlaneOverrides {
  /** A database that runs already, instead of the configured one. */
  connection?: PostgresConnection;
}

/** @throws WrennError that says what is missing or wrongly set. */
export async function startControlPlane(
  config: ControlPlaneConfig,
  log: Log,
  overrides: ControlPlaneOverrides = {},
): Promise<ControlPlane> {
  await using rollback = new Rollback((step, error) => log.error('undo failed', { step, error }));
  await claimFolders(config, rollback);
  const connection = overrides.connection ?? (await openDatabase(config, log, rollback));
  await migrate(connection, config.databaseSchema);

  const context = await createContext(config, connection, log);
  rollback.defer('database pool', () => context.database.close());
  rollback.defer('host agent', () => context.host.close());
  rollback.defer('background work', () => context.background.drain(BACKGROUND_TIMEOUT_MS));

  startReconciler(context, rollback);
  const readiness = new Readiness(context);
  const target = await serveInternally(config, context, readiness, rollback);
  const grpcAddress = await servePublicly(config, context, readiness, rollback);
  const httpAddress = await serveHttp(config, target, log, rollback);
  await readiness.start();
  rollback.defer('readiness', () => readiness.close());

  log.info('control plane ready', { grpc_address: grpcAddress, http_address: httpAddress });
  const owned = rollback.commit();
  return {
    grpcAddress,
    httpAddress,
    internal: context,
    close: async () => void (await owned.undo()),
  };
}

async function claimFolders(config: ControlPlaneConfig, rollback: Rollback): Promise<void> {
  await mkdir(config.stateDirectory, { recursive: true, mode: 0o755 });
  const claim = await claimDirectory('control plane', config.runDirectory);
  rollback.defer('claim', () => claim.release());
}

async function openDatabase(
  config: ControlPlaneConfig,
  log: Log,
  rollback: Rollback,
): Promise<PostgresConnection> {
  if (config.databaseUrl !== undefined) return { connectionString: config.databaseUrl };
  const server = await EmbeddedPostgres.start({
    directory: join(config.stateDirectory, 'postgres'),
    socketDirectory: join(config.runDirectory, 'postgres'),
    log,
  });
  rollback.defer('embedded postgres', () => server.stop());
  return server.connection;
}

function startReconciler({ reconciler, host }: Context, rollback: Rollback): void {
  rollback.defer('reconciler', () => reconciler.close());
  reconciler.start();
  const watch = new ChangeWatch(host, () => reconciler.nudge());
  rollback.defer('change watch', () => watch.close());
}

/** The services once more, for the gateway: on a socket that nobody else can open. */
async function serveInternally(
  config: ControlPlaneConfig,
  context: Context,
  readiness: Readiness,
  rollback: Rollback,
): Promise<string> {
  const server = createInternalServer();
  rollback.defer('internal server', () => shutDown(server));
  const { authenticate } = createAuthentication(context);
  addServices(server, context, addressFromGateway, authenticate);
  readiness.addTo(server);
  return listenOnSocket(server, join(config.runDirectory, 'control-plane.sock'));
}

async function servePublicly(
  config: ControlPlaneConfig,
  context: Context,
  readiness: Readiness,
  rollback: Rollback,
): Promise<string> {
  const guard = new ReceiveGuard(createAuthentication(context));
  const server = createPublicServer(guard.interceptor);
  rollback.defer('public server', () => shutDown(server));
  addServices(server, context, addressOfPeer, guard.authenticate);
  readiness.addTo(server);
  if (config.reflection) addReflection(server);
  return listenOnAddress(server, config.grpcAddress);
}

async function serveHttp(
  { httpAddress: { host, port }, corsOrigins, testPage }: ControlPlaneConfig,
  target: string,
  log: Log,
  rollback: Rollback,
): Promise<string> {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  try {
    const gateway = await startGateway({
      ...{ address, target, log, corsOrigins, testPage },
      credentials: credentials.createInsecure(),
    });
    rollback.defer('gateway', () => gateway.close());
    return gateway.address;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'EADDRINUSE' && code !== 'EADDRNOTAVAIL' && code !== 'EACCES') throw cause;
    throw addressNotUsable('WRENN_HTTP_ADDRESS', address, cause);
  }
}
