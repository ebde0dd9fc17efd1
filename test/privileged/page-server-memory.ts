/** Random memory out of several files, with what a guest must read of it. */
import { randomInt } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { addon, type MappedMemory, SOURCE_ZERO } from '../../native/addon/binding.js';

export const BLOCK_BYTES = 4096;
const RUN_BLOCKS_MAX = 40;
const ZERO_SHARE_PERCENT = 25;

export interface TestMemory extends AsyncDisposable {
  blocks: number;
  sizeBytes: number;
  mapped: MappedMemory;
  paths: string[];
  /** All of the memory in one file, and in a buffer. */
  expectedPath: string;
  expected: Buffer;
}

/** Makes `files` files in the folder and runs of random length that point to random places of them. */
export async function randomMemory(
  directory: string,
  blocks: number,
  files = 3,
): Promise<TestMemory> {
  const contents = Array.from({ length: files }, () => randomContent(blocks));
  const runs = randomRuns(blocks, files);
  const expected = Buffer.alloc(blocks * BLOCK_BYTES);
  const checksums: number[] = [];
  for (const [first, count, source, sourceFirst] of runs) {
    const content = contents[source];
    if (!content) continue;
    for (let index = 0; index < count; index++) {
      const block = blockOf(content, sourceFirst + index);
      block.copy(expected, (first + index) * BLOCK_BYTES);
      checksums.push(addon().crc32c(block));
    }
  }
  const paths = contents.map((_, index) => join(directory, `memory.${index}`));
  const handles = await Promise.all(
    contents.map((content, index) => writeNew(paths[index] ?? '', content)),
  );
  const expectedPath = join(directory, 'expected');
  await (await writeNew(expectedPath, expected)).close();
  return {
    blocks,
    sizeBytes: blocks * BLOCK_BYTES,
    mapped: {
      files: handles.map((handle) => handle.fd),
      runs: Uint32Array.from(runs.flat()),
      checksums: Uint32Array.from(checksums),
    },
    paths,
    expectedPath,
    expected,
    async [Symbol.asyncDispose]() {
      await Promise.all(handles.map((handle) => handle.close()));
    },
  };
}

/** The runs of one file that holds all of `blocks` at their own addresses, with its checksums. */
export function wholeFile(content: Buffer): Pick<MappedMemory, 'runs' | 'checksums'> {
  const blocks = content.length / BLOCK_BYTES;
  return {
    runs: Uint32Array.of(0, blocks, 0, 0),
    checksums: Uint32Array.from({ length: blocks }, (_, block) =>
      addon().crc32c(blockOf(content, block)),
    ),
  };
}

/** Each block begins with a number of its own and is never zero. */
export function randomContent(blocks: number): Buffer {
  const content = Buffer.alloc(blocks * BLOCK_BYTES, randomInt(1, 256));
  for (let block = 0; block < blocks; block++) {
    content.writeUInt32LE(randomInt(1, 2 ** 32), block * BLOCK_BYTES);
    content.writeUInt32LE(block, block * BLOCK_BYTES + 4);
  }
  return content;
}

type Run = [first: number, count: number, source: number, sourceFirst: number];

/** At least one of them lies in a file. */
function randomRuns(blocks: number, files: number): Run[] {
  for (;;) {
    const runs = anyRuns(blocks, files);
    if (runs.some(([, , source]) => source !== SOURCE_ZERO)) return runs;
  }
}

function anyRuns(blocks: number, files: number): Run[] {
  const runs: Run[] = [];
  for (let first = 0; first < blocks; ) {
    const count = Math.min(randomInt(1, RUN_BLOCKS_MAX), blocks - first);
    const isZero = randomInt(100) < ZERO_SHARE_PERCENT;
    if (isZero) runs.push([first, count, SOURCE_ZERO, 0]);
    else runs.push([first, count, randomInt(files), randomInt(blocks - count + 1)]);
    first += count;
  }
  return runs;
}

function blockOf(content: Buffer, block: number): Buffer {
  return content.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
}

async function writeNew(path: string, content: Buffer): Promise<FileHandle> {
  const file = await open(path, 'w+');
  await file.writeFile(content);
  return file;
}
