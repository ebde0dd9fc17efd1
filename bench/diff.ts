/**
 * `npm run bench -- diff`: what a pause writes of a memory, against what has
 * really changed in it, and the time to find it against the same in plain C.
 */
import { type FileHandle, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  addon,
  type MappedMemory,
  type MemorySource,
  type ScanResult,
} from '../native/addon/binding.js';
import { anchorPath, buildAnchors, timeAnchor } from './anchors.js';
import { BackgroundProcess } from './background-process.js';
import { ChangedMemory } from './changed-memory.js';
import { allocatedBytes, BLOCK_BYTES, writeMemory } from './guest-memory.js';
import { machineFacts, watchNoise } from './machine.js';
import { type BenchContext, measure } from './measure.js';
import type { BenchReport, CountReport, GroupPlan } from './report.js';
import { AGAIN, type Arm, elapsed } from './rounds.js';
import { withWorkFolder } from './work-folder.js';

const SCRIPT = 'bench/diff.ts';
const ROUNDS_DEFAULT = 15;
const WARM_UP_ROUNDS_DEFAULT = 2;
const MIB = 1024 * 1024;
const MEMORY_MIB = 128;
const START_TIMEOUT_MS = 30_000;
/** Memory files lie in memory, as those of VMMs do. */
const MEMORY_FOLDER = '/dev/shm';

const PLAIN_COMPARE = 'compare and write, C';
const ADDON_FILE = 'scan of a memory file';
const ADDON_PRIVATE = 'scan of a private map';

/** A memory before and after, and where the scan finds it. */
interface Scanned {
  changed: ChangedMemory;
  parent: MappedMemory;
  paths: { parent: string; memory: string; output: string };
}

export function benchDiff(context: BenchContext): Promise<BenchReport> {
  return withWorkFolder((folder) =>
    withWorkFolder((memoryFolder) => run(folder, memoryFolder, context), MEMORY_FOLDER),
  );
}

async function run(
  folder: string,
  memoryFolder: string,
  context: BenchContext,
): Promise<BenchReport> {
  const { progress, signal } = context;
  progress.show('preparing a memory');
  await buildAnchors(signal);
  const paths = {
    parent: join(folder, 'parent'),
    memory: join(memoryFolder, 'memory'),
    output: join(folder, 'diff'),
  };
  const blocks = (MEMORY_MIB * MIB) / BLOCK_BYTES;
  await writeMemory(paths.parent, blocks);
  const changed = new ChangedMemory(await readFile(paths.parent));
  await using parentFile = await open(paths.parent);
  await using memory = await changed.writeMemory(paths.memory);
  const runs = Uint32Array.of(0, blocks, 0, 0);
  const parent = { files: [parentFile.fd], runs, checksums: new Uint32Array() };
  const scanned = { changed, parent, paths };
  const writer = await startWriter(scanned, folder);
  try {
    const sources: Sources = {
      file: { kind: 'memfd', fd: memory.fd },
      private: { kind: 'private', ...writer.map },
    };
    const noiseSoFar = await watchNoise();
    const group = await measure(plan(scanned, sources, context), context);
    const counts = await countWritten(scanned, sources);
    const [machine, noise] = [await machineFacts(), await noiseSoFar()];
    return { script: SCRIPT, machine, noise, groups: [group], counts };
  } finally {
    await writer.process.end('SIGKILL', START_TIMEOUT_MS);
  }
}

interface Sources {
  file: MemorySource;
  private: MemorySource;
}

function plan(scanned: Scanned, sources: Sources, { options }: BenchContext): GroupPlan {
  const { count = ROUNDS_DEFAULT, warmUp = WARM_UP_ROUNDS_DEFAULT } = options;
  const { changed } = scanned;
  const plain = (signal: AbortSignal) => compareAndWrite(scanned, signal);
  const arms: Arm[] = [
    { name: PLAIN_COMPARE, measure: plain },
    { name: AGAIN, measure: plain },
    { name: ADDON_FILE, measure: () => timeScan(scanned, sources.file) },
    { name: ADDON_PRIVATE, measure: () => timeScan(scanned, sources.private) },
  ];
  return {
    title: `Find and write ${changed.changedBlocks} changed of ${changed.writtenBlocks} written blocks, ${MEMORY_MIB} MiB`,
    arms,
    baselines: [PLAIN_COMPARE],
    rounds: count,
    warmUpRounds: warmUp,
  };
}

async function compareAndWrite({ paths, changed }: Scanned, signal: AbortSignal): Promise<number> {
  const sizeBytes = changed.blocks * BLOCK_BYTES;
  const args = [paths.memory, paths.parent, paths.output, sizeBytes];
  try {
    return await timeAnchor('write-changes', args, { signal });
  } finally {
    await rm(paths.output, { force: true });
  }
}

async function timeScan(scanned: Scanned, source: MemorySource): Promise<number> {
  await using output = await open(scanned.paths.output, 'wx+');
  try {
    return await elapsed(() => scan(scanned, source, output));
  } finally {
    await rm(scanned.paths.output);
  }
}

function scan(
  { parent, changed }: Scanned,
  source: MemorySource,
  output: FileHandle,
): Promise<ScanResult> {
  const sizeBytes = changed.blocks * BLOCK_BYTES;
  return addon().scanMemory({ source, sizeBytes, parent, outputFd: output.fd });
}

/** Scans once more, and looks at what came out. @throws Error when it is wrong. */
async function countWritten(scanned: Scanned, sources: Sources): Promise<CountReport[]> {
  const { changed, paths } = scanned;
  const counts: CountReport[] = [];
  for (const [kind, source] of Object.entries(sources) as [string, MemorySource][]) {
    await using output = await open(paths.output, 'wx+');
    const result = await scan(scanned, source, output);
    await changed.check(result, paths.output);
    const value = (await allocatedBytes(output)) / (changed.changedBlocks * BLOCK_BYTES);
    counts.push({ name: `bytes written / bytes truly changed, ${kind}`, value, ideal: 1 });
    await rm(paths.output);
  }
  return counts;
}

/** Starts a program that has mapped the parent and written to the map. */
async function startWriter({ changed, paths }: Scanned, folder: string) {
  const listPath = join(folder, 'changes');
  await changed.writeList(listPath);
  const sizeBytes = changed.blocks * BLOCK_BYTES;
  const writer = new BackgroundProcess({
    command: [anchorPath('private-memory'), paths.parent, String(sizeBytes), listPath],
    deathSignal: 'KILL',
  });
  const address = BigInt(await writer.firstLine(START_TIMEOUT_MS));
  return { process: writer, map: { pid: writer.pid, address } };
}
