/**
 * Restores of one machine whose memory a page server of the addon serves, by
 * bare QEMU as bare-restore.ts does it: with what an earlier one wanted brought
 * in advance, or without.
 */
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { retry } from '../lib/lifecycle/delay.js';
import {
  addon,
  type NativePageServer,
  type PageServerStatistics,
} from '../native/addon/binding.js';
import {
  type BareMachineRestored,
  type BareRestoreOptions,
  restoreByHand,
} from './bare-restore.js';
import { BLOCK_BYTES } from './guest-memory.js';

const MIB = 1024 * 1024;
const KIB = 1024;
/** As the platform has it. */
const RUN_BLOCKS_MAX = 16;
const HANDSHAKE_TIMEOUT_MS = 30_000;
const REPLAY = { timeoutMs: 30_000, pauseMs: 1, pauseMsMax: 10 };
/** For /proc/PID/clear_refs: no page was touched. */
const CLEAR_ALL = '1';
const MEMORY_NAME = 'memory-backend-memfd';

/** What the machine does before it is looked at: it reads programs, and runs them. */
const FIRST_COMMAND = { cmd: 'ls', args: ['-R', '/usr/lib'] };

export interface ServedRestore {
  elapsedMs: number;
  statistics: PageServerStatistics;
  workingSet: Uint32Array;
  /** Of the blocks that were brought in advance, those that the machine touched; when it was asked for. */
  touchedBlocks?: number;
}

export interface ServedRestoreOptions {
  machine: Omit<BareRestoreOptions, 'directory'>;
  /** For the files of one restore. */
  directory: string;
  workingSet?: Uint32Array;
  /** Lets the machine begin only when all is brought in advance, to see what of that it touches. */
  watchTouched?: boolean;
}

export async function restoreServed(
  options: ServedRestoreOptions,
  signal: AbortSignal,
): Promise<ServedRestore> {
  const { machine, directory, workingSet, watchTouched = false } = options;
  const pagesSocketPath = join(directory, 'memory.sock');
  const startedAt = performance.now();
  const server = await startServer(options, pagesSocketPath);
  try {
    // A restore that fails says more than a handshake that does not come.
    server.handshake.then(() => server.serve()).catch(() => undefined);
    const onStarted = async (started: BareMachineRestored) => {
      if (watchTouched) await forgetTouched(started, server, workingSet);
    };
    const { machine: restored } = await restoreByHand(
      { ...machine, directory: join(directory, 'machine'), pagesSocketPath, onStarted },
      signal,
    );
    await using _ = restored;
    await restored.guest.exec(FIRST_COMMAND.cmd, FIRST_COMMAND.args, signal);
    const elapsedMs = performance.now() - startedAt;
    server.stopRecording();
    const statistics = server.statistics();
    const result = { elapsedMs, statistics, workingSet: server.workingSet() };
    if (!watchTouched) return result;
    return { ...result, touchedBlocks: await touchedBlocks(restored, statistics) };
  } finally {
    await server.close();
  }
}

async function startServer(
  { machine, directory, workingSet }: ServedRestoreOptions,
  socketPath: string,
): Promise<NativePageServer> {
  const { memoryPaths, memoryMb } = machine.files;
  const [path = '', ...others] = memoryPaths;
  if (others.length > 0) throw new Error('the memory must be one file');
  await using file = await open(path);
  const sizeBytes = memoryMb * MIB;
  const runs = Uint32Array.of(0, sizeBytes / BLOCK_BYTES, 0, 0);
  return addon().startPageServer({
    ...{ socketPath, sizeBytes, uid: 0, pid: 0, runBlocksMax: RUN_BLOCKS_MAX },
    memory: { files: [file.fd], runs, checksums: new Uint32Array() },
    removedPath: join(directory, 'memory.removed'),
    handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
    ...(workingSet && { workingSet }),
  });
}

/** Waits for the end of the replay, and forgets which pages were touched until then. */
async function forgetTouched(
  { pid }: BareMachineRestored,
  server: NativePageServer,
  workingSet: Uint32Array = new Uint32Array(),
): Promise<void> {
  const wanted = blocksOf(workingSet);
  const isOver = async () => {
    const { servedBlocks, zeroBlocks } = server.statistics();
    if (servedBlocks + zeroBlocks < wanted) throw new Error('the replay goes on');
  };
  await retry(isOver, REPLAY);
  await writeFile(`/proc/${pid}/clear_refs`, CLEAR_ALL);
}

/** What a fault brings counts as touched, so it is left out. */
async function touchedBlocks(
  { pid }: BareMachineRestored,
  { servedBlocks, zeroBlocks, replayedBlocks }: PageServerStatistics,
): Promise<number> {
  const referencedKb = memoryField(await readFile(`/proc/${pid}/smaps`, 'utf8'), 'Referenced');
  return (referencedKb * KIB) / BLOCK_BYTES - (servedBlocks + zeroBlocks - replayedBlocks);
}

/** Sum of a field over the maps of the guest's memory. */
function memoryField(smaps: string, field: string): number {
  let isMemory = false;
  let sum = 0;
  for (const line of smaps.split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isMemory = line.includes(MEMORY_NAME);
    else if (isMemory && line.startsWith(`${field}:`)) sum += Number(/\d+/.exec(line)?.[0]);
  }
  return sum;
}

export function blocksOf(workingSet: Uint32Array): number {
  return workingSet.reduce((sum, number, index) => (index % 2 === 1 ? sum + number : sum), 0);
}
