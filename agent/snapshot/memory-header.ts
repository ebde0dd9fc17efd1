/**
 * The header of a snapshot's memory: for every block, which build holds it and
 * where, and the checksum of what lies there. It is flat: a reader looks into
 * one header however long the history is. On disk, little endian:
 *
 *     offset  bytes
 *          0      8  'WRENNMEM'
 *          8      4  version
 *         12      4  bytes of a block
 *         16      8  blocks of the memory
 *         24      4  flags; bit 0: mappable
 *         28      4  builds
 *         32      4  runs
 *         36      4  checksums
 *         40         builds, each one byte of length and its id
 *                    runs, 16 bytes each
 *                    checksums, 4 bytes each
 *                 4  CRC32C of all before it
 */
import { Code, WrennError } from '../../lib/errors/index.js';
import { addon, RUN_FIELDS } from '../../native/addon/binding.js';
import { CHAIN_LENGTH_MAX } from './generation.js';
import {
  BLOCK_BYTES,
  BLOCKS_MAX,
  eachRun,
  isStored,
  MEMORY_BYTES_MAX,
  problemOfRuns,
  storedBlocks,
} from './memory-map.js';

export { BLOCK_BYTES, MEMORY_BYTES_MAX } from './memory-map.js';

/** Most builds of a header: those of a full chain, which is merged before another one comes over it. */
export const BUILDS_MAX = CHAIN_LENGTH_MAX;

const MAGIC = Buffer.from('WRENNMEM', 'latin1');
const VERSION = 1;
const FIXED_BYTES = 40;
const CHECKSUM_BYTES = 4;
const RUN_BYTES = RUN_FIELDS * Uint32Array.BYTES_PER_ELEMENT;
const FLAG_MAPPABLE = 1;
const BUILD_ID = /^[a-z0-9]{8,64}$/;
const BUILD_ID_BYTES_MAX = 64;

/** Largest header, that of a memory whose every block is a run of its own. To be asked before a file is read. */
export const HEADER_BYTES_MAX =
  FIXED_BYTES +
  BUILDS_MAX * (1 + BUILD_ID_BYTES_MAX) +
  BLOCKS_MAX * (RUN_BYTES + CHECKSUM_BYTES) +
  CHECKSUM_BYTES;

/** Content of a guest's memory: who holds each block. */
export interface MemoryHeader {
  sizeBytes: number;
  /** Ids of the builds that runs use, and of no other, oldest first. */
  builds: string[];
  /** Packed as native/addon/binding.ts says; `source` counts `builds`, or is SOURCE_ZERO. */
  runs: Uint32Array;
  /**
   * CRC32C of each stored block in order of address. Empty when nothing is
   * known, which is so as long as a block lies in a legacy build.
   */
  checksums: Uint32Array;
  /**
   * Whether the file of the only build, mapped as it is, is the memory: every
   * block at its own address, and a hole where the memory is zero. A header
   * cannot tell by its runs, since a block that was zeroed later than a build
   * was written still has its old content there.
   */
  mappable: boolean;
}

/** A header that is cut off, altered, or contradicts itself. `cause` says where. */
export class HeaderError extends WrennError {
  constructor(problem: string) {
    super(Code.DATA_LOSS, 'SNAPSHOT_DAMAGED', 'the memory header of the snapshot is damaged', {
      metadata: { artifact: 'memfile.header' },
      cause: new Error(problem),
    });
  }
}

/** Whether the memory is one file that a VMM may map privately. Without builds all of it is zero. */
export function isFlat(header: MemoryHeader): boolean {
  return header.mappable;
}

/** How many builds a reader needs. */
export function depth(header: MemoryHeader): number {
  return header.builds.length;
}

/**
 * The checksum that a header ends with. It tells one header from another; a checksum over all
 * bytes could not, since whatever is followed by its own CRC has the same one.
 */
export function checksumOf(bytes: Buffer): number {
  return bytes.readUInt32LE(bytes.length - CHECKSUM_BYTES);
}

/**
 * Reads a header. Nothing is allocated beyond the size of `bytes`.
 * @throws HeaderError for anything that serializeHeader does not write.
 */
export function parseHeader(bytes: Buffer): MemoryHeader {
  const counts = parseCounts(bytes);
  const { builds, end: runsAt } = parseBuilds(bytes, counts.builds);
  const checksumsAt = runsAt + counts.runs * RUN_BYTES;
  const end = checksumsAt + counts.checksums * CHECKSUM_BYTES;
  ensure(bytes.length === end + CHECKSUM_BYTES, 'its length is not that of its counts');
  ensure(bytes.readUInt32LE(end) === addon().crc32c(bytes.subarray(0, end)), 'checksum differs');
  const header = {
    sizeBytes: counts.blocks * BLOCK_BYTES,
    builds,
    runs: readWords(bytes, runsAt, counts.runs * RUN_FIELDS),
    checksums: readWords(bytes, checksumsAt, counts.checksums),
    mappable: counts.flags === FLAG_MAPPABLE,
  };
  const problem = problemOfHeader(header);
  ensure(problem === undefined, problem ?? '');
  return header;
}

/** @throws RangeError when it is no header that parseHeader would take. */
export function serializeHeader(header: MemoryHeader): Buffer {
  const problem = problemOfHeader(header);
  if (problem) throw new RangeError(`not a memory header: ${problem}`);
  const fixed = Buffer.alloc(FIXED_BYTES);
  MAGIC.copy(fixed);
  fixed.writeUInt32LE(VERSION, 8);
  fixed.writeUInt32LE(BLOCK_BYTES, 12);
  fixed.writeBigUInt64LE(BigInt(header.sizeBytes / BLOCK_BYTES), 16);
  fixed.writeUInt32LE(header.mappable ? FLAG_MAPPABLE : 0, 24);
  fixed.writeUInt32LE(header.builds.length, 28);
  fixed.writeUInt32LE(header.runs.length / RUN_FIELDS, 32);
  fixed.writeUInt32LE(header.checksums.length, 36);
  const builds = header.builds.map((id) => Buffer.from(`${String.fromCharCode(id.length)}${id}`));
  const body = Buffer.concat([fixed, ...builds, words(header.runs), words(header.checksums)]);
  const checksum = Buffer.alloc(CHECKSUM_BYTES);
  checksum.writeUInt32LE(addon().crc32c(body));
  return Buffer.concat([body, checksum]);
}

interface Counts {
  blocks: number;
  flags: number;
  builds: number;
  runs: number;
  checksums: number;
}

function parseCounts(bytes: Buffer): Counts {
  ensure(bytes.length >= FIXED_BYTES + CHECKSUM_BYTES, 'it is cut off');
  ensure(bytes.length <= HEADER_BYTES_MAX, 'it is too long');
  ensure(bytes.subarray(0, MAGIC.length).equals(MAGIC), 'it is another kind of file');
  ensure(bytes.readUInt32LE(8) === VERSION, 'it is of another version');
  ensure(bytes.readUInt32LE(12) === BLOCK_BYTES, 'its blocks are of another size');
  const counts = {
    blocks: Number(bytes.readBigUInt64LE(16)),
    flags: bytes.readUInt32LE(24),
    builds: bytes.readUInt32LE(28),
    runs: bytes.readUInt32LE(32),
    checksums: bytes.readUInt32LE(36),
  };
  ensure(counts.blocks > 0 && counts.blocks <= BLOCKS_MAX, 'its memory is too large or none');
  ensure(counts.flags === 0 || counts.flags === FLAG_MAPPABLE, 'it has unknown flags');
  ensure(counts.builds <= BUILDS_MAX, 'it has too many builds');
  ensure(counts.runs > 0 && counts.runs <= counts.blocks, 'it has more runs than blocks, or none');
  ensure(counts.checksums <= counts.blocks, 'it has more checksums than blocks');
  return counts;
}

function parseBuilds(bytes: Buffer, count: number): { builds: string[]; end: number } {
  const builds: string[] = [];
  let end = FIXED_BYTES;
  for (let index = 0; index < count; index++) {
    const start = end + 1;
    end = start + (bytes[end] ?? 0);
    ensure(end <= bytes.length, 'its builds are cut off');
    builds.push(bytes.toString('latin1', start, end));
  }
  return { builds, end };
}

/** Every machine that Node runs KVM or QEMU on is little endian, as the file is. */
function readWords(bytes: Buffer, offset: number, count: number): Uint32Array {
  const read = new Uint32Array(count);
  new Uint8Array(read.buffer).set(bytes.subarray(offset, offset + read.byteLength));
  return read;
}

function words({ buffer, byteOffset, byteLength }: Uint32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function problemOfHeader(header: MemoryHeader): string | undefined {
  const { sizeBytes, builds, runs, checksums } = header;
  const blocks = sizeBytes / BLOCK_BYTES;
  if (!Number.isInteger(blocks) || blocks <= 0 || sizeBytes > MEMORY_BYTES_MAX)
    return `size of ${sizeBytes} bytes`;
  return (
    problemOfBuilds(builds) ??
    problemOfRuns(runs, blocks, { files: builds.length, inherit: false }) ??
    problemOfChecksums(runs, checksums) ??
    problemOfUse(header)
  );
}

function problemOfBuilds(builds: readonly string[]): string | undefined {
  if (builds.length > BUILDS_MAX) return `${builds.length} builds`;
  if (!builds.every((id) => BUILD_ID.test(id))) return 'a build whose id is none';
  return new Set(builds).size === builds.length ? undefined : 'a build is named twice';
}

function problemOfChecksums(runs: Uint32Array, checksums: Uint32Array): string | undefined {
  const stored = storedBlocks(runs);
  if (checksums.length === 0 || checksums.length === stored) return undefined;
  return `${checksums.length} checksums of ${stored} blocks`;
}

function problemOfUse({ builds, runs, mappable }: MemoryHeader): string | undefined {
  const used = new Set<number>();
  let moved = false;
  for (const { source, first, sourceFirst } of eachRun(runs)) {
    if (!isStored(source)) continue;
    used.add(source);
    moved ||= first !== sourceFirst;
  }
  if (used.size < builds.length) return 'a build that no run uses';
  return mappable && (moved || builds.length > 1) ? 'mappable, but no plain file' : undefined;
}

function ensure(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new HeaderError(problem);
}
