/**
 * What the ledger keeps of a sandbox. The resources are opaque here: each leaf
 * (network, rootfs, vmm) knows its own shape, and the sandbox layer joins them.
 */
export type SandboxPhase = 'starting' | 'running' | 'stopping' | 'ended';

export interface LedgerEntry<Slot = unknown, Disk = unknown, MachineRecord = unknown> {
  sandboxId: string;
  /** Fencing number of the command that made it. */
  generation: number;
  phase: SandboxPhase;
  /** Reason of an end that nobody asked for. */
  endReason?: string;
  template: string;
  vcpus: number;
  memoryMb: number;
  timeoutSec: number;
  createdAtMs: number;
  startedAtMs?: number;
  /** Token that the guest daemon asks for. */
  guestToken: string;
  /** Folder for sockets, which ends with the boot. */
  runDirectory: string;
  /** Folder for the disk. */
  stateDirectory: string;
  slot?: Slot;
  rootfs?: Disk;
  machine?: MachineRecord;
}
