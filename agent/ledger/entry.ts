/**
 * What the ledger keeps of a sandbox. The resources are opaque here: each leaf
 * (network, rootfs, vmm, memory) knows its own shape, and the sandbox layer
 * joins them.
 */
export type SandboxPhase = 'starting' | 'resuming' | 'running' | 'pausing' | 'stopping' | 'ended';

/** Images that a sandbox was started from, as absolute paths. */
export interface SandboxImages {
  rootfsPath: string;
  toolsPath: string;
  kernelPath: string;
  initrdPath: string;
}

export interface LedgerEntry<
  Slot = unknown,
  Disk = unknown,
  MachineRecord = unknown,
  MemoryRecord = unknown,
> {
  sandboxId: string;
  /** Fencing number of the newest command. */
  generation: number;
  phase: SandboxPhase;
  /** Reason of an end that nobody asked for. */
  endReason?: string;
  template: string;
  images: SandboxImages;
  vcpus: number;
  memoryMb: number;
  timeoutSec: number;
  /** Environment variables of every program. */
  env: Record<string, string>;
  /** Whether the inactivity timeout pauses it instead of ending it. */
  pauseOnTimeout: boolean;
  /** Made by the agent for its own use: nobody else knows it. */
  internal?: boolean;
  createdAtMs: number;
  startedAtMs?: number;
  /** Token that the guest daemon asks for. */
  guestToken: string;
  /** Version that the guest daemon says it has. */
  envdVersion?: string;
  /** Folder for sockets, which ends with the boot. */
  runDirectory: string;
  slot?: Slot;
  rootfs?: Disk;
  /** Disk that is being put over `rootfs` while the machine stands still. */
  nextRootfs?: Disk;
  machine?: MachineRecord;
  memory?: MemoryRecord;
  /** Generation that the machine was restored from: its memory comes from there. */
  servingGenerationId?: string;
  /** Newest generation with this machine's memory, to which the next one is a difference. */
  parentGenerationId?: string;
  /** Generation that a pause under way is writing. */
  draftGenerationId?: string;
}
