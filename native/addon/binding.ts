/**
 * The native addon as TypeScript sees it. It does what Node cannot: serve page
 * faults, read another process's memory, copy ranges of files.
 *
 * A *run* describes consecutive blocks of a guest's memory that come from the
 * same place. Runs are packed into a Uint32Array, RUN_FIELDS numbers each, in
 * order of address, without gaps or overlaps:
 *
 *     first block, number of blocks, source, first block in the source
 *
 * `source` is an index into the list of files that goes with the runs, or one
 * of the SOURCE_ constants.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageRoot } from '../../lib/files/package-root.js';

/** Numbers for each run. */
export const RUN_FIELDS = 4;
/** The blocks are zero and lie in no file. */
export const SOURCE_ZERO = 0xffff_ffff;
/** In the result of a scan only: the blocks are those of the parent. */
export const SOURCE_INHERIT = 0xffff_fffe;

/**
 * Numbers for each run of a working set, a list of blocks in the order in which they are wanted:
 * first block, number of blocks.
 */
export const WORKING_SET_FIELDS = 2;
/** Most blocks of a working set that is recorded or replayed: 256 MiB. */
export const WORKING_SET_BLOCKS_MAX = 65_536;

/** Where a guest's memory is read from while its virtual processors stand still. */
export type MemorySource =
  /** A shared memory file; its holes were never touched since the restore. */
  | { kind: 'memfd'; fd: number }
  /** A private map of the parent's file in another process; only its anonymous pages were written. */
  | { kind: 'private'; pid: number; address: bigint };

/** The content of a guest's memory as files and runs. */
export interface MappedMemory {
  /** Open files, which `source` of a run counts. */
  files: readonly number[];
  runs: Uint32Array;
  /** CRC32C of every block that lies in a file, in order of address; empty when there are none. */
  checksums: Uint32Array;
}

export interface ScanRequest {
  source: MemorySource;
  sizeBytes: number;
  /** What the memory was restored from, or last snapshotted as; without it a hole is zero. */
  parent?: MappedMemory;
  /** One bit for each block that the VMM has given back, lowest bit first: such a hole is zero. */
  removed?: Uint8Array;
  /** Receives changed blocks, each at its own address; must be empty. */
  outputFd: number;
}

export interface ScanResult {
  /** Runs of the whole memory; source 0 is the output, or SOURCE_ZERO, or SOURCE_INHERIT. */
  runs: Uint32Array;
  /** CRC32C of every block in the output, in order of address. */
  checksums: Uint32Array;
  /** Blocks that had to be looked at. */
  scannedBlocks: number;
  writtenBlocks: number;
}

export interface MergeRequest {
  files: readonly number[];
  runs: Uint32Array;
  /** Receives every block that is not zero at its own address; must be empty. */
  outputFd: number;
}

export interface PageServerOptions {
  /** Socket on which the VMM's handshake is awaited; undefined for `adopt`. */
  socketPath: string;
  /** Owner of the socket: the VMM's user and group. */
  uid: number;
  memory: MappedMemory;
  sizeBytes: number;
  /** Largest number of blocks that one fault brings. */
  runBlocksMax: number;
  /** File of one bit for each block, kept while the machine lives: the blocks that the VMM gave back. */
  removedPath: string;
  /** The VMM process that may connect; its children are not meant. 0 when it is not started yet: then `uid` alone decides. */
  pid: number;
  /** How long the handshake may take to come. */
  handshakeTimeoutMs: number;
  /** Blocks to bring before a fault asks for them, as `workingSet` of another server tells. */
  workingSet?: Uint32Array;
}

/** One range of the VMM's address space that holds guest memory. */
export interface MemoryRegion {
  /** Address in the VMM. */
  address: bigint;
  sizeBytes: number;
  /** Place in the guest's memory image. */
  offset: number;
}

export interface PageServerStatistics {
  faults: number;
  /** Of the faults, those whose block was not there yet. */
  demandFaults: number;
  servedBlocks: number;
  zeroBlocks: number;
  removedBlocks: number;
  /** Of the served and zero ones, those that were brought before a fault asked. */
  replayedBlocks: number;
  /** Calls of UFFDIO_COPY, UFFDIO_ZEROPAGE and UFFDIO_WAKE. */
  ioctls: number;
  eagain: number;
  eexist: number;
}

/**
 * How a page server ended; `damaged` names a file by its index and a block of it whose content
 * fails its checksum or cannot be read. The access that met it is never answered.
 */
export type PageServerEnd =
  | { kind: 'closed' | 'vmm-gone' }
  | { kind: 'failed'; message: string }
  | { kind: 'damaged'; file: number; block: number };

export interface NativePageServer {
  /**
   * Resolves when the handshake is done; at once for one that was adopted. Rejects with an Error
   * with `code` when it has failed, or when the server was closed before it (ECANCELED).
   */
  readonly handshake: Promise<{ pid: number; regions: MemoryRegion[] }>;
  readonly ended: Promise<PageServerEnd>;
  /** Begins to answer; until then the VMM's accesses wait. One that was adopted has begun. */
  serve(): void;
  statistics(): PageServerStatistics;
  /**
   * What faults have demanded so far, at most WORKING_SET_BLOCKS_MAX, in the first seconds; empty
   * for a server that was adopted, and once it is closed.
   */
  workingSet(): Uint32Array;
  /** What comes from now on does not belong to the working set. Idempotent. */
  stopRecording(): void;
  /** Ends the thread and closes all it holds; resolves when it has. Idempotent. */
  close(): Promise<void>;
}

export interface Addon {
  /** CRC32C (Castagnoli) of the bytes, continuing `seed`. */
  crc32c(data: Uint8Array, seed?: number): number;
  /** The same of a whole file, in a thread. */
  crc32cFile(fd: number): Promise<number>;
  /**
   * Whether anybody has the file open for writing, or mapped so; `fd` must be open for reading alone.
   * @throws Error with `code`, such as EINVAL where the file system cannot tell.
   */
  hasWriters(fd: number): boolean;
  /** Finds and writes what has changed, in a thread. @throws Error with `code` of the system call, such as ENOSPC. */
  scanMemory(request: ScanRequest): Promise<ScanResult>;
  /** Copies all runs of files into one, in a thread. @throws as scanMemory. */
  mergeMemory(request: MergeRequest): Promise<{ writtenBlocks: number }>;
  /** Checks every block of `memory` against its checksum, in a thread; -1 when all are right, else the first wrong block. */
  verifyMemory(memory: MappedMemory): Promise<number>;
  /**
   * Whether a map of the one file shows the memory: every run is at its own address, what is
   * zero is a hole, and the file is long enough.
   */
  isFlatMemory(memory: MappedMemory): boolean;
  /**
   * Listens on the socket, in a thread that serves also while Node's is busy. The descriptors of
   * `memory` may be closed when it returns. The file of removed blocks may exist: they stay removed.
   * @throws Error with `code` of the system call.
   */
  startPageServer(options: PageServerOptions): NativePageServer;
  /**
   * Serves the faults of a VMM whose page server ended with an earlier agent: takes the
   * userfaultfd out of the VMM, wakes what waits, and goes on. That `pid` is still that VMM is
   * the caller's to know.
   * @throws Error with `code` of the system call: ESRCH when it has ended, ENOENT or EBUSY when it
   *   has no userfaultfd for the regions.
   */
  adoptPageServer(
    options: Omit<PageServerOptions, 'socketPath' | 'handshakeTimeoutMs' | 'workingSet'> & {
      regions: readonly MemoryRegion[];
    },
  ): NativePageServer;
}

const require = createRequire(import.meta.url);
let loaded: Addon | undefined;

/** The addon; it is loaded when it is first asked for. @throws Error when it is not built. */
export function addon(): Addon {
  loaded ??= require(join(packageRoot(), 'native', 'addon', 'build', 'wrenn.node')) as Addon;
  return loaded;
}
