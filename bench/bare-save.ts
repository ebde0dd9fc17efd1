/** The anchor for snapshots of a running machine: its device state by QMP, as short as it goes by hand. */
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { retry } from '../lib/lifecycle/delay.js';
import { leaveMemoryOut } from './bare-restore.js';
import type { Qmp } from './qmp.js';

const POLL = { timeoutMs: 30_000, pauseMs: 1, pauseMsMax: 1 };

/** Stops the machine, saves its device state to a file, and lets it go on. */
export async function saveByHand(qmp: Qmp, folder: string): Promise<void> {
  const socketPath = join(folder, 'save.sock');
  const server = createServer();
  server.listen(socketPath);
  await once(server, 'listening');
  const state = received(server);
  await leaveMemoryOut(qmp);
  await qmp.execute('migrate-set-parameters', { 'max-bandwidth': 2 ** 40 });
  try {
    await qmp.execute('stop');
    await qmp.execute('migrate', { uri: `unix:${socketPath}` });
    await retry(() => isSaved(qmp), POLL);
    await writeFile(join(folder, 'saved-state'), await state);
    await qmp.execute('cont');
  } finally {
    server.close();
    await rm(socketPath, { force: true });
  }
}

async function isSaved(qmp: Qmp): Promise<void> {
  const { status } = (await qmp.execute('query-migrate')) as { status?: string };
  if (status !== 'completed') throw new Error(`the state is not saved: ${status}`);
  const { status: run } = (await qmp.execute('query-status')) as { status: string };
  if (run === 'finish-migrate') throw new Error('the machine is still being put to rest');
}

async function received(server: ReturnType<typeof createServer>): Promise<Buffer> {
  const [connection] = (await once(server, 'connection')) as [Socket];
  const chunks: Buffer[] = [];
  for await (const chunk of connection as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
