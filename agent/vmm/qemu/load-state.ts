/** Gives device state to a VMM that was started to wait for it. */
import { createReadStream } from 'node:fs';
import { lstat, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { leaveMemoryOut, poll, STATE_BYTES_MAX } from './migration.js';
import type { QmpExecute } from './qmp.js';
import { runState } from './run-state.js';

/** Run state of a VMM that waits for device state, or takes it. */
const WAITING = 'inmigrate';
/** Errors of a connection whose other end has been closed. */
const CLOSED_BY_VMM = ['ERR_STREAM_PREMATURE_CLOSE', 'EPIPE', 'ECONNRESET'];

/**
 * Resolves when the VMM has taken the state; its virtual processors stand still then.
 * @throws Error otherwise. A VMM that cannot use the state says so and ends.
 */
export async function loadDeviceState(
  execute: QmpExecute,
  socketPath: string,
  statePath: string,
  signal: AbortSignal,
): Promise<void> {
  const { size } = await stat(statePath);
  if (size > STATE_BYTES_MAX) throw new Error(`device state of ${size} bytes is too large`);

  await leaveMemoryOut(execute);
  await execute('migrate-incoming', { uri: `unix:${socketPath}` }, { signal });
  await send(statePath, socketPath, signal);
  await poll(async () => (await runState(execute, signal)) !== WAITING || undefined, signal);
  await rm(socketPath, { force: true });
}

/**
 * Sends the state. A VMM closes its end as soon as it has read all of it, or when it cannot use it;
 * which of the two it was its run state tells.
 */
async function send(statePath: string, socketPath: string, signal: AbortSignal): Promise<void> {
  // The folder belongs to the VMM: a symbolic link in it may lead to a socket of somebody else.
  if (!(await lstat(socketPath)).isSocket()) throw new Error('the state socket is none');
  const socket = connect(socketPath);
  socket.on('error', () => undefined);
  try {
    await pipeline(createReadStream(statePath), socket, { signal });
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (signal.aborted || !CLOSED_BY_VMM.includes(code)) throw error;
  }
}
