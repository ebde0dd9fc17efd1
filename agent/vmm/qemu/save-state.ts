/**
 * Saves a stopped machine's device state: QEMU connects to a socket in the
 * machine's folder and sends it, and it is written here, where nothing that the
 * VMM may be made to do can reach the file.
 */
import { once } from 'node:events';
import { type FileHandle, lchown, lstat, open, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { leaveMemoryOut, outcomeOf, poll, STATE_BYTES_MAX, STATE_TIMEOUT_MS } from './migration.js';
import type { QmpExecute } from './qmp.js';
import { stateSocketPath } from './vmm-process.js';

const FILE_MODE = 0o600;
/** QEMU spreads a migration over time unless it may send this much: 1 TiB a second. */
const UNLIMITED_BYTES_PER_SECOND = 2 ** 40;
/** How long a migration that was given up may take to be over. */
const CANCEL_TIMEOUT_MS = 10_000;

/**
 * Resolves when the state is durable in the new file `path`. Afterwards the machine can run, or be
 * saved, again, whether this succeeded or not.
 * @throws Error otherwise, with code EEXIST or ENOSPC where they are the reason; then there is no file.
 */
export async function saveDeviceState(
  execute: QmpExecute,
  runDirectory: string,
  path: string,
): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE);
  try {
    await receiveState(execute, runDirectory, file);
    await file.sync();
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

async function receiveState(
  execute: QmpExecute,
  runDirectory: string,
  file: FileHandle,
): Promise<void> {
  const socketPath = stateSocketPath(runDirectory);
  const server = await listen(socketPath, (await lstat(runDirectory)).uid);
  const giveUp = new AbortController();
  const signal = AbortSignal.any([giveUp.signal, AbortSignal.timeout(STATE_TIMEOUT_MS)]);
  const received = receive(server, file, signal);
  try {
    await leaveMemoryOut(execute);
    await execute('migrate-set-parameters', { 'max-bandwidth': UNLIMITED_BYTES_PER_SECOND });
    await execute('migrate', { uri: `unix:${socketPath}` });
    await Promise.all([received, untilSaved(execute, signal)]);
  } catch (error) {
    giveUp.abort(error);
    await endMigration(execute);
    throw error;
  } finally {
    await received.catch(() => undefined);
    server.close();
    await rm(socketPath, { force: true });
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

/** Writes what the first one to connect sends. */
async function receive(server: Server, file: FileHandle, signal: AbortSignal): Promise<void> {
  const [connection] = (await once(server, 'connection', { signal })) as [Socket];
  server.close();
  const onAbort = () => connection.destroy(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    let size = 0;
    for await (const chunk of connection as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > STATE_BYTES_MAX) throw new Error('the device state is too large');
      await file.writeFile(chunk);
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    connection.destroy();
  }
}

async function untilSaved(execute: QmpExecute, signal: AbortSignal): Promise<void> {
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

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
