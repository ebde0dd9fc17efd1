/** The agent's gRPC server on its Unix socket, which only root can open. */
import { chmod, lstat, mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { HostAgentServiceService } from '../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { Code, WrennError } from '../lib/errors/index.js';
import type { Log } from '../lib/log/log.js';
import { serve } from '../lib/rpc/service.js';
import { createRequestCheck } from '../lib/rpc/validation.js';
import type { HostAgentHandlers } from './api/host-agent.js';

/** Time that calls under way get at shutdown. */
export const DRAIN_TIMEOUT_MS = 5000;
/** A file of 3 MiB and its fields. */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;

/** What the control plane asks every few seconds. */
const POLLED: ReadonlySet<string> = new Set([
  HostAgentServiceService.getHost.path,
  HostAgentServiceService.listSandboxes.path,
]);

export interface RunningServer {
  close(): Promise<void>;
}

/** Serves on `socketPath`. */
export async function startServer(
  socketPath: string,
  handlers: HostAgentHandlers,
  log: Log,
): Promise<RunningServer> {
  await mkdir(dirname(socketPath), { recursive: true, mode: 0o755 });
  await removeStaleSocket(socketPath);
  const server = new Server({ 'grpc.max_receive_message_length': MESSAGE_BYTES_MAX });
  // Whoever can open the socket is root on this host.
  serve(server, HostAgentServiceService, handlers, {
    log,
    authenticate: () => undefined,
    validate: createRequestCheck(),
    isRoutine: (path) => POLLED.has(path),
  });
  await bind(server, socketPath);
  return { close: () => shutDown(server) };
}

/** A killed agent leaves its socket file behind; a living one holds the claim on the path. */
async function removeStaleSocket(socketPath: string): Promise<void> {
  const found = await lstat(socketPath).catch(() => undefined);
  if (!found) return;
  if (!found.isSocket()) {
    const message = `${socketPath} is in the way: it is no socket; set WRENN_AGENT_SOCKET to another path`;
    throw new WrennError(Code.FAILED_PRECONDITION, 'HOST_REQUIREMENT', message);
  }
  await rm(socketPath, { force: true });
}

/** main.ts sets the umask, so that nobody but root can connect before the mode is set, too. */
async function bind(server: Server, socketPath: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
  await chmod(socketPath, 0o600);
}

async function shutDown(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    const force = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, DRAIN_TIMEOUT_MS);
    server.tryShutdown(() => {
      clearTimeout(force);
      resolve();
    });
  });
}
