/**
 * The working set of a generation: blocks that a machine which was restored
 * from it wanted first, as runs of first block and number of blocks. It is a
 * hint beside the generation and no part of it: one that is missing, damaged or
 * of another memory is as good as none, and it may be replaced.
 *
 *     "WRENNWKS", version, blocks of the memory, number of runs, the runs, CRC32C of all before it
 *
 * All numbers are little endian, of 32 bits.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { randomId } from '../../lib/ids/random-id.js';
import { addon, WORKING_SET_BLOCKS_MAX, WORKING_SET_FIELDS } from '../../native/addon/binding.js';
import type { FileOperations } from './file-operations.js';
import type { GenerationTable } from './generation-table.js';
import { BLOCK_BYTES } from './memory-header.js';
import type { Hold } from './store.js';
import type { StoreParts } from './store-parts.js';

const MAGIC = Buffer.from('WRENNWKS');
const VERSION = 1;
const FIXED_BYTES = 20;
const RUN_BYTES = 4 * WORKING_SET_FIELDS;
const CHECKSUM_BYTES = 4;
/** Each run has a block at least. */
const FILE_BYTES_MAX = FIXED_BYTES + WORKING_SET_BLOCKS_MAX * RUN_BYTES + CHECKSUM_BYTES;
const FILE_MODE = 0o600;

/** @returns undefined when there is none that can be read. */
export async function loadWorkingSet(
  { layout, table, log }: StoreParts,
  id: string,
): Promise<Uint32Array | undefined> {
  try {
    await using file = await open(layout.workingSet(id), 'r');
    return parseWorkingSet(await readBounded(file), memoryBlocks(table, id));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      log.warn('working set not read', { generation: id, error });
    }
    return undefined;
  }
}

/** Replaces the one before; what cannot be kept is logged. */
export async function keepWorkingSet(
  { layout, table, files, log }: StoreParts,
  id: string,
  runs: Uint32Array,
): Promise<void> {
  let hold: Hold | undefined;
  try {
    // Else the folder might go while it is written to.
    hold = table.hold(id);
    await replaceFile(
      files,
      layout.workingSet(id),
      serializeWorkingSet(runs, memoryBlocks(table, id)),
    );
  } catch (error) {
    log.warn('working set not kept', { generation: id, error });
  } finally {
    hold?.release();
  }
}

/** @throws RangeError when it is none of a memory of so many blocks. */
export function serializeWorkingSet(runs: Uint32Array, blocks: number): Buffer {
  const problem = problemOf(runs, blocks);
  if (problem !== undefined) throw new RangeError(`not a working set: ${problem}`);
  const fixed = Buffer.alloc(FIXED_BYTES);
  MAGIC.copy(fixed);
  fixed.writeUInt32LE(VERSION, 8);
  fixed.writeUInt32LE(blocks, 12);
  fixed.writeUInt32LE(runs.length / WORKING_SET_FIELDS, 16);
  const content = Buffer.alloc(runs.length * 4);
  for (const [index, number] of runs.entries()) content.writeUInt32LE(number, index * 4);
  const body = Buffer.concat([fixed, content]);
  const checksum = Buffer.alloc(CHECKSUM_BYTES);
  checksum.writeUInt32LE(addon().crc32c(body));
  return Buffer.concat([body, checksum]);
}

/** @throws Error for anything that serializeWorkingSet does not write of such a memory. */
export function parseWorkingSet(bytes: Buffer, blocks: number): Uint32Array {
  ensure(bytes.length >= FIXED_BYTES + CHECKSUM_BYTES, 'it is cut off');
  ensure(bytes.length <= FILE_BYTES_MAX, 'it is too long');
  ensure(bytes.subarray(0, MAGIC.length).equals(MAGIC), 'it is another kind of file');
  ensure(bytes.readUInt32LE(8) === VERSION, 'it is of another version');
  ensure(bytes.readUInt32LE(12) === blocks, 'it is of another memory');
  const end = bytes.length - CHECKSUM_BYTES;
  const runCount = bytes.readUInt32LE(16);
  ensure(end === FIXED_BYTES + runCount * RUN_BYTES, 'its length is not that of its runs');
  ensure(bytes.readUInt32LE(end) === addon().crc32c(bytes.subarray(0, end)), 'checksum differs');
  const runs = Uint32Array.from({ length: runCount * WORKING_SET_FIELDS }, (_, index) =>
    bytes.readUInt32LE(FIXED_BYTES + index * 4),
  );
  const problem = problemOf(runs, blocks);
  ensure(problem === undefined, problem ?? '');
  return runs;
}

function problemOf(runs: Uint32Array, blocks: number): string | undefined {
  if (runs.length % WORKING_SET_FIELDS !== 0) return 'half a run';
  let total = 0;
  for (let at = 0; at < runs.length; at += WORKING_SET_FIELDS) {
    const [first = 0, count = 0] = runs.subarray(at, at + WORKING_SET_FIELDS);
    if (count === 0) return 'an empty run';
    if (first + count > blocks) return 'a run that ends beyond the memory';
    total += count;
    if (total > WORKING_SET_BLOCKS_MAX) return `more than ${WORKING_SET_BLOCKS_MAX} blocks`;
  }
  return undefined;
}

function memoryBlocks(table: GenerationTable, id: string): number {
  return table.manifest(id).memory.sizeBytes / BLOCK_BYTES;
}

async function replaceFile(files: FileOperations, path: string, bytes: Buffer): Promise<void> {
  const temporary = `${path}.${randomId()}.tmp`;
  try {
    await files.writeFile(temporary, bytes, FILE_MODE);
    await files.syncFile(temporary);
    await files.rename(temporary, path);
  } catch (error) {
    await files.remove(temporary).catch(() => undefined);
    throw error;
  }
  await files.syncFolder(dirname(path));
}

/** Reads no more than a file of ours has, and one byte. */
async function readBounded(file: FileHandle): Promise<Buffer> {
  const { size } = await file.stat();
  const buffer = Buffer.alloc(Math.min(size, FILE_BYTES_MAX + 1));
  const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
  return buffer.subarray(0, bytesRead);
}

function ensure(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new Error(problem);
}
