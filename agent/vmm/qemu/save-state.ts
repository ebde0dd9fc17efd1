/**
 * Saves a stopped machine's device state: QEMU connects to a socket in the
 * machine's folder and sends it. It is kept here and written by the agent,
 * where nothing that the VMM may be made to do can reach the file, and a disk
 * without room is no failure of the VMM.
 */
import { once } from 'node:events';
import { lchown, lstat, open, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { leaveMemoryOut, outcomeOf, poll, STATE_BYTES_MAX, STATE_TIMEOUT_MS } from './migration.js';
import type { QmpExecute } from './qmp.js';
import { stateSocketPath } from './vmm-process.js';

const FILE_MODE = 0o600;
/** QEMU spreads a migration over time unless it may send this much: 1 TiB a second. */
const UNLIMITED_BYTES_PER_SECOND = 2 ** 40;
/** How long a migration that was given up may take to be over. */
const CANCEL_TIMEOUT_MS = 10_000;

/**
 * The device state of a stopped machine, which can run again afterwards, whether this succeeded or
 * not. QEMU refuses a second time until it has run.
 */
export async function receiveDeviceState(
  execute: QmpExecute,
  runDirectory: string,
): Promise<Buffer> {
  const socketPath = stateSocketPath(runDirectory);
  const server = await listen(socketPath, (await lstat(runDirectory)).uid);
  const giveUp = new AbortController();
  const signal = AbortSignal.any([giveUp.signal, AbortSignal.timeout(STATE_TIMEOUT_MS)]);
  const received = receive(server, signal);
  try {
    const [state] = await Promise.all([received, migrate(execute, socketPath, signal)]);
    return state;
  } catch (error) {
    giveUp.abort(error);
    await endMigration(execute);
    throw error;
  } finally {
    server.close();
    await rm(socketPath, { force: true });
  }
}

/**
 * Writes a new file. The machine stands still meanwhile, so making it durable is left to who asked.
 * @throws Error with code EEXIST or ENOSPC, as the file system gives it; what was written is gone then.
 */
export async function writeStateFile(path: string, state: Buffer): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE);
  try {
    await file.writeFile(state);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** A socket that the VMM's user can connect to. */
async function listen(path: string, uid: number): Promise<Server> {
  // An agent that was killed while it saved has left its socket.
  await rm(path, { force: true });
  const server = createServer();
  server.listen(path);
  await once(server, 'listening');
  try {
    // The folder belongs to the VMM, which may have put a link in the socket's place by now.
    await lchown(path, uid, uid);
  } catch (error) {
    server.close();
    throw error;
  }
  return server;
}

/** What the first one to connect sends. */
async function receive(server: Server, signal: AbortSignal): Promise<Buffer> {
  const [connection] = (await once(server, 'connection', { signal })) as [Socket];
  server.close();
  const onAbort = () => connection.destroy(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await readAll(connection);
  } finally {
    signal.removeEventListener('abort', onAbort);
    connection.destroy();
  }
}

async function readAll(connection: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of connection) {
    size += chunk.length;
    if (size > STATE_BYTES_MAX) throw new Error('the device state is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Resolves when QEMU has sent everything; it flushes its disks before. */
async function migrate(
  execute: QmpExecute,
  socketPath: string,
  signal: AbortSignal,
): Promise<void> {
  await leaveMemoryOut(execute);
  await execute('migrate-set-parameters', { 'max-bandwidth': UNLIMITED_BYTES_PER_SECOND });
  await execute('migrate', { uri: `unix:${socketPath}` });
  const { outcome, description } = await poll(() => outcomeOf(execute), signal);
  if (outcome !== 'completed') throw new Error(`the migration has ${outcome}: ${description}`);
}

/** Without this a machine whose state could not be saved could not run again. */
async function endMigration(execute: QmpExecute): Promise<void> {
  try {
    const { status } = Object(await execute('query-migrate')) as { status?: unknown };
    if (status === undefined || status === 'none') return;
    await execute('migrate_cancel');
    await poll(() => outcomeOf(execute), AbortSignal.timeout(CANCEL_TIMEOUT_MS));
  } catch {
    // The caller throws why the state could not be saved; a VMM that hangs shows again.
  }
}
