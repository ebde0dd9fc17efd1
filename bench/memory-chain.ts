/** A chain of memory files as pauses leave it: one with every block, and what has changed since, in runs. */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { SOURCE_ZERO } from '../native/addon/binding.js';
import { BLOCK_BYTES, createSparse, fillBlock, writeMemory } from './guest-memory.js';
import { randomNumbers } from './random.js';

const SEED = 0xc4a1;
/** Share of the memory that changes between two pauses, and longest run of changes. */
const CHANGED_SHARE = 0.03;
const RUN_BLOCKS_MAX = 64;
/** Share of the runs of changes that clear their blocks. */
const CLEARED_SHARE = 0.1;

/** Blocks of the merged memory that come out of one file. */
export interface Extent {
  file: number;
  first: number;
  count: number;
}

export interface MemoryChain extends AsyncDisposable {
  blocks: number;
  paths: string[];
  files: FileHandle[];
  /** The newest of every block, packed for the addon. */
  runs: Uint32Array;
  /** The same without what is zero. */
  extents: Extent[];
}

export async function writeChain(
  folder: string,
  blocks: number,
  fileCount: number,
): Promise<MemoryChain> {
  const random = randomNumbers(SEED);
  const paths = Array.from({ length: fileCount }, (_, file) => join(folder, `layer${file}`));
  /** Which file has the newest of each block. */
  const owners = new Uint32Array(blocks);
  for (const [file, path] of paths.entries()) {
    if (file === 0) await writeMemory(path, blocks);
    else await writeChanges(path, file, owners, random);
  }
  const files = await Promise.all(paths.map((path) => open(path)));
  const { runs, extents } = pack(owners);
  return {
    ...{ blocks, paths, files, runs, extents },
    async [Symbol.asyncDispose]() {
      for (const file of files) await file.close();
    },
  };
}

/** @throws Error when a block is not the newest. */
export function checkMerged({ runs, blocks }: MemoryChain, content: Buffer): void {
  if (content.length !== blocks * BLOCK_BYTES) throw new Error('the merged file has a wrong size');
  const expected = Buffer.alloc(BLOCK_BYTES);
  for (let at = 0; at < runs.length; at += 4) {
    const [first = 0, count = 0, file = 0] = runs.subarray(at, at + 3);
    for (let block = first; block < first + count; block += 1) {
      if (file === SOURCE_ZERO) expected.fill(0);
      else fillBlock(expected, block, file);
      if (content.compare(expected, 0, BLOCK_BYTES, block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES))
        throw new Error(`block ${block} is not that of file ${file}`);
    }
  }
}

async function writeChanges(
  path: string,
  file: number,
  owners: Uint32Array,
  random: () => number,
): Promise<void> {
  await using handle = await createSparse(path, owners.length);
  const content = Buffer.alloc(RUN_BLOCKS_MAX * BLOCK_BYTES);
  for (let changed = 0; changed < owners.length * CHANGED_SHARE; ) {
    const count = 1 + Math.floor(random() * RUN_BLOCKS_MAX);
    const first = Math.floor(random() * (owners.length - count));
    const cleared = random() < CLEARED_SHARE;
    changed += count;
    owners.fill(cleared ? SOURCE_ZERO : file, first, first + count);
    if (cleared) continue;
    for (let index = 0; index < count; index += 1) {
      fillBlock(
        content.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES),
        first + index,
        file,
      );
    }
    await handle.write(content, 0, count * BLOCK_BYTES, first * BLOCK_BYTES);
  }
  await handle.sync();
}

function pack(owners: Uint32Array): { runs: Uint32Array; extents: Extent[] } {
  const packed: number[] = [];
  const extents: Extent[] = [];
  for (let first = 0, end = 0; first < owners.length; first = end) {
    const owner = owners[first] ?? 0;
    while (end < owners.length && owners[end] === owner) end += 1;
    const zero = owner === SOURCE_ZERO;
    packed.push(first, end - first, owner, zero ? 0 : first);
    if (!zero) extents.push({ file: owner, first, count: end - first });
  }
  return { runs: Uint32Array.from(packed), extents };
}
