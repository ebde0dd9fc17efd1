/** Memory images for benchmarks: every block is another, none is zero, and all is the same each time. */
import { type FileHandle, open } from 'node:fs/promises';

export const BLOCK_BYTES = 4096;
const PIECE_BLOCKS = 1024;

/** A block that begins with `number + 1` in 64 bits; `version` makes another one of the rest. */
export function fillBlock(block: Buffer, number: number, version = 0): void {
  block.fill(((number * 31 + version * 7) % 255) + 1);
  block.writeUInt32LE(version, 8);
  block.writeBigUInt64LE(BigInt(number + 1), 0);
}

/** Writes a memory of `blocks` blocks to a new file. */
export async function writeMemory(path: string, blocks: number): Promise<void> {
  await using file = await open(path, 'wx');
  const piece = Buffer.alloc(PIECE_BLOCKS * BLOCK_BYTES);
  for (let first = 0; first < blocks; first += PIECE_BLOCKS) {
    const count = Math.min(PIECE_BLOCKS, blocks - first);
    for (let index = 0; index < count; index += 1) {
      const start = index * BLOCK_BYTES;
      fillBlock(piece.subarray(start, start + BLOCK_BYTES), first + index);
    }
    await file.write(piece, 0, count * BLOCK_BYTES, first * BLOCK_BYTES);
  }
  // What is written back during a measurement would slow it.
  await file.sync();
}

/** Makes a new sparse file, without content. */
export async function createSparse(path: string, blocks: number): Promise<FileHandle> {
  const file = await open(path, 'wx+');
  await file.truncate(blocks * BLOCK_BYTES);
  return file;
}

/** Bytes that a file takes on the disk. */
export async function allocatedBytes(file: FileHandle): Promise<number> {
  // Blocks that are not on the disk yet are not counted by every file system.
  await file.sync();
  return (await file.stat()).blocks * 512;
}
