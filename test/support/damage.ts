/** Damages files of memory as a failing disk does: single bits, and nobody is told. */
import { type FileHandle, open } from 'node:fs/promises';

const BLOCK_BYTES = 4096;
const CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * Flips one bit in each block of a file that `isChosen` picks; holes are no blocks.
 * @returns how many it has flipped.
 */
export async function flipBits(
  path: string,
  isChosen: (block: Buffer) => boolean,
): Promise<number> {
  await using file = await open(path, 'r+');
  const { size } = await file.stat();
  let flipped = 0;
  for (let at = 0; at < size; at += CHUNK_BYTES) {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, at);
    for (let start = 0; start < bytesRead; start += BLOCK_BYTES) {
      const block = buffer.subarray(start, start + BLOCK_BYTES);
      if (block.every((byte) => byte === 0) || !isChosen(block)) continue;
      await flipBit(file, at + start, block);
      flipped += 1;
    }
  }
  return flipped;
}

async function flipBit(file: FileHandle, offset: number, block: Buffer): Promise<void> {
  const middle = block.length / 2;
  await file.write(Buffer.of((block[middle] ?? 0) ^ 1), 0, 1, offset + middle);
}
