/** A gRPC server with limits that fit strangers, and its orderly end. */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  Server,
  ServerCredentials,
  type ServerInterceptor,
  type ServerOptions,
} from '@grpc/grpc-js';
import type { HostPort } from '../lib/config/environment.js';
import { Code, WrennError } from '../lib/errors/index.js';

/** Largest message that the services take: a file of 3 MiB and its fields. */
export const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;
/** Calls at once on one connection of a client. */
export const STREAMS_PER_CONNECTION_MAX = 250;
export const CONNECTION_IDLE_MS_MAX = 5 * 60_000;
/** Age at which a connection takes no new calls; those under way may end, the longest takes an hour. */
export const CONNECTION_AGE_MS_MAX = 3_600_000;
const CONNECTION_AGE_GRACE_MS = 3_700_000;
/** Time that calls under way get at shutdown. */
export const DRAIN_TIMEOUT_MS = 10_000;

const PUBLIC_OPTIONS: ServerOptions = {
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc.max_concurrent_streams': STREAMS_PER_CONNECTION_MAX,
  'grpc.max_connection_idle_ms': CONNECTION_IDLE_MS_MAX,
  'grpc.max_connection_age_ms': CONNECTION_AGE_MS_MAX,
  'grpc.max_connection_age_grace_ms': CONNECTION_AGE_GRACE_MS,
};

/** The gateway bounds what it sends, on few connections. */
const INTERNAL_OPTIONS: ServerOptions = { 'grpc.max_receive_message_length': MESSAGE_BYTES_MAX };

/** @param guard sees every call before its request is read. */
export function createPublicServer(guard: ServerInterceptor): Server {
  return new Server({ ...PUBLIC_OPTIONS, interceptors: [guard] });
}

export function createInternalServer(): Server {
  return new Server(INTERNAL_OPTIONS);
}

/** Listens on an address. @returns it as `host:port`, with the port that was chosen for 0. */
export async function listenOnAddress(server: Server, { host, port }: HostPort): Promise<string> {
  const shown = host.includes(':') ? `[${host}]` : host;
  try {
    return `${shown}:${await bind(server, `${shown}:${port}`)}`;
  } catch (cause) {
    throw addressNotUsable('WRENN_GRPC_ADDRESS', `${shown}:${port}`, cause);
  }
}

/** Listens on a Unix socket that only its owner can open. A file that a killed server left there goes. */
export async function listenOnSocket(server: Server, path: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await rm(path, { force: true });
  const umask = process.umask(0o177);
  try {
    await bind(server, `unix:${path}`);
  } finally {
    process.umask(umask);
  }
  await chmod(path, 0o600);
  return `unix:${path}`;
}

/** Takes no new calls, lets those under way end, and ends what is left after a while. */
export async function shutDown(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    const force = setTimeout(() => server.forceShutdown(), DRAIN_TIMEOUT_MS);
    server.tryShutdown(() => {
      clearTimeout(force);
      resolve();
    });
  });
}

/** @param setting that names the address. */
export function addressNotUsable(setting: string, address: string, cause: unknown): WrennError {
  return new WrennError(
    Code.FAILED_PRECONDITION,
    'HOST_REQUIREMENT',
    `cannot listen on ${address}: it is in use, or not an address of this machine; stop the other program or set ${setting}`,
    { cause, metadata: { setting } },
  );
}

function bind(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
}
