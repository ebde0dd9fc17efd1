/**
 * A generation: memory, disk and device state of one machine at one instant.
 * It is immutable. What names it is a *ref*, a small record that is written
 * when all of the generation is durable; what no ref names and nobody holds
 * goes.
 *
 *     <folder>/refs/<kind>.<name>.json
 *     <folder>/generations/<id>/manifest.json, memfile.header, vmstate
 *     <folder>/memory/memfile.<build id>
 */

/**
 * Most files of memory, or layers of disk, that a generation may consist of. One that has as many
 * is due to be merged, since the next one over it would have more.
 */
export const CHAIN_LENGTH_MAX = 10;

/** Entries of a lineage that are kept, the newest ones. */
export const LINEAGE_MAX = 100;

/** What a machine must be to be restored. */
export interface RequiredMachine {
  driver: string;
  accelerator: string;
  vmmVersion: string;
  cpuModel: string;
  deviceLayout: string;
}

/** One pause, snapshot or fork in the history of a generation. */
export interface Lineage {
  id: string;
  createdAtMs: number;
  /** Bytes that its memory and its layer took on the host: allocated blocks × 512. */
  memoryBytes: number;
  diskBytes: number;
}

export interface GenerationManifest {
  id: string;
  createdAtMs: number;
  /** Template that the first machine was started from; it survives any number of pauses. */
  template: string;
  vcpus: number;
  memoryMb: number;
  machine: RequiredMachine;
  /** Version of the guest's daemon, and the token in force; empty before its first PostInit. */
  guest: { envdVersion: string; token: string };
  /** `builds` are the ids of all files that its blocks lie in. */
  memory: {
    sizeBytes: number;
    builds: string[];
    /** Checksum of the header, as the header itself ends with; none where memory has no header. */
    headerCrc32c?: number;
  };
  vmstate: { sizeBytes: number; crc32c: number };
  disk: {
    imagePath: string;
    toolsPath: string;
    kernelPath: string;
    initrdPath: string;
    /** Ids of the layers, lowest first. */
    layers: string[];
  };
  /** What came before it and itself, oldest first; at most LINEAGE_MAX. */
  lineage: Lineage[];
}

/** Of what kind a ref is. */
export type RefKind = 'sandbox' | 'snapshot' | 'warm' | 'fork';

/** Where a paused sandbox is; a ref of another kind is always `paused`. */
export type RefPhase =
  | 'paused'
  /** A machine is being restored from it; nobody has seen it run yet. */
  | 'resuming'
  /** A machine runs that came out of it. */
  | 'running';

export interface Ref {
  kind: RefKind;
  /** Sandbox id, snapshot id, or key of a warm snapshot. */
  name: string;
  generationId: string;
  phase: RefPhase;
  updatedAtMs: number;
  /** What belongs to the one who made it; the sandbox layer knows its shape. JSON-serializable. */
  details: Record<string, unknown>;
}
