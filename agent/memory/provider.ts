/**
 * Memory of restored machines. A provider makes the memory of a snapshot
 * available to a VMM, lazily: as a file that the VMM maps, or as a page server
 * that answers each first access.
 */

/** The content of a guest's memory on disk. */
export interface MemoryFiles {
  sizeBytes: number;
  /** Absolute paths, which `source` of a run counts. */
  paths: readonly string[];
  /** Packed as native/addon/binding.ts says. */
  runs: Uint32Array;
  /** CRC32C of every block that lies in a file, in order of address; empty when there are none. */
  checksums: Uint32Array;
}

/** How a VMM gets its memory; `restore` of a driver takes it. */
export type MemoryBackend = { kind: 'file'; path: string } | { kind: 'pages'; socketPath: string };

/** What is needed to serve a machine again after the agent has restarted. JSON-serializable. */
export interface MemoryRecord {
  kind: 'file' | 'pages';
  /** The VMM's ranges of guest memory; empty until its handshake. Addresses in decimal. */
  regions: { address: string; sizeBytes: number; offset: number }[];
  /** Which blocks the VMM has given back, one bit for each. */
  removedPath: string;
}

export interface ServeRequest {
  memory: MemoryFiles;
  /** Folder of the machine's sockets. */
  runDirectory: string;
  /** User of the VMM. */
  uid: number;
  /**
   * What another machine of the same memory wanted, as `workingSet` of a ServedMemory told: it is
   * brought before this one asks. A page server alone makes use of it.
   */
  workingSet?: Uint32Array | undefined;
}

/** Why a machine's memory cannot be served any more; the machine must be ended. */
export interface MemoryFailure {
  kind: 'damaged' | 'failed';
  message: string;
  /** Path of the damaged file. */
  artifact?: string;
}

/** The memory of one machine, from its restore to its end. */
export interface ServedMemory {
  readonly backend: MemoryBackend;
  readonly record: MemoryRecord;
  /**
   * Resolves when the VMM has taken its memory and the record of that is durable: from then on it
   * can be adopted. At once for a file. Rejects when that failed; `failed` tells it too.
   */
  readonly ready: Promise<void>;
  /** Resolves, never rejects, with what went wrong, or with undefined when it was closed or the VMM ended. */
  readonly failed: Promise<MemoryFailure | undefined>;
  /** Blocks that the VMM has given back: their holes are zero. Undefined when there are none. */
  removed(): Promise<Uint8Array | undefined>;
  statistics(): Record<string, number>;
  /**
   * Blocks that the machine has wanted since it was served, and those that were brought in advance:
   * runs of first block and number of blocks. Undefined when that is not known: for a file, for one
   * that was adopted, and after `close`.
   */
  workingSet(): Uint32Array | undefined;
  /** The machine has begun its work: what it wants from now on is not in the working set. Idempotent. */
  stopRecording(): void;
  /** Stops serving. Idempotent. A machine that still runs waits at its next first access. */
  close(): Promise<void>;
}

export interface MemoryProvider {
  /**
   * Prepares the memory for a VMM that is about to be started. The socket is the VMM's user's.
   * @param onRecord must make the record durable; called before this resolves, and again with
   *   the regions before the VMM's first access is answered.
   * @throws MemoryUnavailable when a file is missing, too short or damaged.
   */
  serve(
    request: ServeRequest,
    onRecord: (record: MemoryRecord) => Promise<void>,
  ): Promise<ServedMemory>;
  /**
   * Goes on with a machine of an earlier run of the agent; `pid` must still be its VMM.
   * @throws MemoryUnavailable, and Error with `code` ESRCH when the VMM has ended.
   */
  adopt(request: ServeRequest, record: MemoryRecord, pid: number): Promise<ServedMemory>;
}
