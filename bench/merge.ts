/**
 * `npm run bench -- merge`: the merge of a chain of memory files into one,
 * against copy_file_range of the same extents in plain C.
 */
import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { addon } from '../native/addon/binding.js';
import { buildAnchors, timeAnchor } from './anchors.js';
import { allocatedBytes, BLOCK_BYTES } from './guest-memory.js';
import { machineFacts, watchNoise } from './machine.js';
import { type BenchContext, measure } from './measure.js';
import { checkMerged, type MemoryChain, writeChain } from './memory-chain.js';
import type { BenchReport, CountReport, GroupPlan } from './report.js';
import { AGAIN, type Arm, elapsed } from './rounds.js';
import { withWorkFolder } from './work-folder.js';

const SCRIPT = 'bench/merge.ts';
const ROUNDS_DEFAULT = 15;
const WARM_UP_ROUNDS_DEFAULT = 2;
const MIB = 1024 * 1024;
const MEMORY_MIB = 128;
const FILES = 10;

const PLAIN_COPY = 'copy_file_range, C';
const ADDON = 'merge of the addon';

export function benchMerge(context: BenchContext): Promise<BenchReport> {
  return withWorkFolder(async (folder) => {
    const { progress, signal } = context;
    progress.show('preparing memory files');
    await buildAnchors(signal);
    await using chain = await writeChain(folder, (MEMORY_MIB * MIB) / BLOCK_BYTES, FILES);
    const counts = await countWritten(chain, join(folder, 'counted'));
    const noiseSoFar = await watchNoise();
    const group = await measure(plan(chain, join(folder, 'merged'), context), context);
    const [machine, noise] = [await machineFacts(), await noiseSoFar()];
    return { script: SCRIPT, machine, noise, groups: [group], counts };
  });
}

function plan(chain: MemoryChain, outputPath: string, { options }: BenchContext): GroupPlan {
  const { count = ROUNDS_DEFAULT, warmUp = WARM_UP_ROUNDS_DEFAULT } = options;
  const plainCopy = (signal: AbortSignal) => copyExtents(chain, outputPath, signal);
  const arms: Arm[] = [
    { name: PLAIN_COPY, measure: plainCopy },
    { name: AGAIN, measure: plainCopy },
    { name: ADDON, measure: () => merge(chain, outputPath) },
  ];
  return {
    title: `Merge ${FILES} files of a memory of ${MEMORY_MIB} MiB, ${chain.extents.length} extents`,
    arms,
    baselines: [PLAIN_COPY],
    rounds: count,
    warmUpRounds: warmUp,
  };
}

async function copyExtents(
  { paths, extents, blocks }: MemoryChain,
  outputPath: string,
  signal: AbortSignal,
): Promise<number> {
  const lines = extents.map(({ file, first, count }) =>
    [file, first * BLOCK_BYTES, count * BLOCK_BYTES].join(' '),
  );
  const args = [outputPath, blocks * BLOCK_BYTES, ...paths];
  try {
    return await timeAnchor('copy-extents', args, { input: `${lines.join('\n')}\n`, signal });
  } finally {
    await rm(outputPath, { force: true });
  }
}

async function merge({ files, runs }: MemoryChain, outputPath: string): Promise<number> {
  await using output = await open(outputPath, 'wx+');
  try {
    const request = { files: files.map(({ fd }) => fd), runs, outputFd: output.fd };
    return await elapsed(() => addon().mergeMemory(request));
  } finally {
    await rm(outputPath, { force: true });
  }
}

/** Merges once more, and looks at what came out. @throws Error when it is wrong. */
async function countWritten(chain: MemoryChain, outputPath: string): Promise<CountReport[]> {
  await using output = await open(outputPath, 'wx+');
  const files = chain.files.map(({ fd }) => fd);
  await addon().mergeMemory({ files, runs: chain.runs, outputFd: output.fd });
  checkMerged(chain, await readFile(outputPath));
  const unique = chain.extents.reduce((sum, { count }) => sum + count, 0);
  const value = (await allocatedBytes(output)) / (unique * BLOCK_BYTES);
  return [{ name: 'bytes written / bytes of unique blocks', value, ideal: 1 }];
}
