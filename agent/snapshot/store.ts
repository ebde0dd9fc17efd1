/**
 * What the sandbox layer asks of the place where generations are kept.
 *
 * A generation is written as a *draft* and counts once a ref names it. A draft
 * that is given up, a generation that no ref names and nobody holds, and a
 * file of memory that no generation reads are garbage; `collect` removes them.
 */
import type { MemorySource } from '../../native/addon/binding.js';
import type { GenerationManifest, Ref, RefKind } from './generation.js';

/** Keeps a generation, with all that it reads, although no ref names it. */
export interface Hold {
  readonly generationId: string;
  /** Idempotent. What is garbage now goes with the next `collect`. */
  release(): void;
}

export interface WriteMemoryRequest {
  /** Memory of a machine whose virtual processors stand still. */
  source: MemorySource;
  sizeBytes: number;
  /** The newest generation that was taken of this machine, or the one it was restored from; none for one that was booted. */
  parentGenerationId?: string | undefined;
  /** Blocks that the VMM has given back, as `ServedMemory.removed` tells. */
  removed?: Uint8Array | undefined;
}

export interface WrittenMemory {
  scannedBlocks: number;
  /** Blocks that differ from the parent's and were written. */
  writtenBlocks: number;
  /** Files that the memory now lies in; at CHAIN_LENGTH_MAX it is to be consolidated. */
  depth: number;
}

/** What the store does not know by itself of a generation. */
export interface SealFields
  extends Omit<GenerationManifest, 'id' | 'memory' | 'vmstate' | 'lineage'> {
  /** Bytes that the topmost layer of the disk takes, for the lineage. */
  diskBytes: number;
}

/** A generation that is being written. It is held until a ref names it or it is abandoned. */
export interface GenerationDraft {
  readonly id: string;
  /** Where the VMM's device state is to be written, as a new file. */
  readonly statePath: string;
  /**
   * Writes what differs from the parent; `seal` makes it durable.
   * @throws WrennError HOST_DISK_FULL, or SNAPSHOT_DAMAGED when the parent cannot be read.
   */
  writeMemory(request: WriteMemoryRequest): Promise<WrittenMemory>;
  /**
   * Makes all of it durable; needs memory and device state. The ref is still to be set.
   * @throws WrennError HOST_DISK_FULL.
   */
  seal(fields: SealFields): Promise<GenerationManifest>;
  /** As `abandon` of the store. */
  abandon(): Promise<void>;
}

export interface CollectReport {
  /** Generations, and files of memory, that were removed. */
  generations: string[];
  builds: string[];
  /** Removals that failed; each was logged, and the next `collect` repeats it. */
  failed: number;
}

export interface VerifyReport {
  /** Bytes that were read and found right. */
  verifiedBytes: number;
}

/** A generation's memory, as the `MemoryFiles` of a memory provider. */
export interface GenerationMemory {
  sizeBytes: number;
  paths: string[];
  runs: Uint32Array;
  checksums: Uint32Array;
}

export interface SnapshotStore {
  readonly folder: string;
  /** Folder of the disk layers, which a RootfsProvider keeps. */
  readonly disksFolder: string;

  /** @returns undefined when there is none. @throws WrennError SNAPSHOT_DAMAGED when its record cannot be read. */
  ref(kind: RefKind, name: string): Ref | undefined;
  /** Those that can be read; of all kinds when none is given. */
  refs(kind?: RefKind): Ref[];
  /**
   * Makes or replaces a ref; durable when it resolves. This is what commits a generation. When it
   * fails the old ref stands.
   * @throws WrennError HOST_DISK_FULL, or SNAPSHOT_DAMAGED when the generation is not there.
   */
  setRef(ref: Ref): Promise<void>;
  /** Idempotent; durable when it resolves. */
  removeRef(kind: RefKind, name: string): Promise<void>;

  /** Whether a sealed generation is there, in the present or the legacy format. */
  has(generationId: string): boolean;
  /** @throws WrennError SNAPSHOT_DAMAGED when it cannot be read or is gone. */
  manifest(generationId: string): GenerationManifest;
  /** @throws WrennError SNAPSHOT_DAMAGED. */
  memoryFiles(generationId: string): Promise<GenerationMemory>;
  /**
   * What the last machine that was restored from it wanted first, as `workingSet` of a ServedMemory
   * tells. A hint: undefined when there is none that can be read.
   */
  workingSet(generationId: string): Promise<Uint32Array | undefined>;
  /**
   * Keeps that for the next restore of a sealed generation, instead of what was kept before. Never
   * rejects: what cannot be kept, or is none of this memory, is logged and left out.
   */
  saveWorkingSet(generationId: string, runs: Uint32Array): Promise<void>;
  /** Path of the device state. */
  statePath(generationId: string): string;
  /** Bytes that it takes on the host, shared or not: allocated blocks × 512 of all files of memory that it reads, header and device state; no layers. */
  sizeBytes(generationId: string): Promise<number>;

  /** Starts a generation under this new id. @throws WrennError HOST_DISK_FULL. */
  begin(generationId: string): Promise<GenerationDraft>;
  /** Gives up a draft: removes it unless a ref or another hold has it. Idempotent. */
  abandon(generationId: string): Promise<void>;
  /** @throws WrennError SNAPSHOT_DAMAGED when the generation is not there. */
  hold(generationId: string): Hold;
  /** Removes what no ref names and nobody holds. Safe beside everything else. */
  collect(): Promise<CollectReport>;
  /**
   * The layers that the generations which are there have, now. Undefined when a ref or manifest
   * cannot be read: then every layer may be needed.
   */
  layers(): ReadonlySet<string> | undefined;
  /** Paths of the images that machines of the generations need; undefined as for `layers`. */
  images(): ReadonlySet<string> | undefined;

  /**
   * Puts the memory, or the disk, of a generation together when its chain has reached
   * CHAIN_LENGTH_MAX. The given generation stays as it is.
   * @param mergeDisk makes one sealed layer of several and returns its id.
   * @returns id of the new generation, which is held like a draft until a ref names it or it is
   *   abandoned; the given id when nothing was to be done.
   */
  consolidate(
    generationId: string,
    mergeDisk: (imagePath: string, layers: readonly string[]) => Promise<string>,
  ): Promise<string>;
  /**
   * What is cheap to know before a resume: files and their sizes, header, checksum of the device state.
   * @throws WrennError SNAPSHOT_DAMAGED with metadata `artifact`.
   */
  check(generationId: string): Promise<void>;
  /** Reads everything. @throws as `check`. */
  verify(generationId: string): Promise<VerifyReport>;
}
