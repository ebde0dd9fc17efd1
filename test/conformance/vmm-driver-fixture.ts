/** What a driver's test gives to the suites that every VMM driver passes. */
import type {
  Machine,
  MachineRecord,
  MachineSpec,
  RestoredMemory,
  VmmDriver,
} from '../../agent/vmm/driver.js';

/** A driver with what its machines need, and with the means to do them harm. */
export interface VmmDriverFixture {
  driver: VmmDriver;
  /** A new driver of the same instance, as an agent has that started again. */
  restartedDriver(): VmmDriver;
  /** A driver of another instance on the same host. */
  foreignDriver(): VmmDriver;
  /** A machine that can be booted, with everything around it in place. */
  makeSpec(): Promise<MachineSpec>;
  /** The same machine such that its VMM does not start. */
  broken(spec: MachineSpec): MachineSpec;
  /** Resolves when the guest's daemon answers on the target, rejects when it does not. */
  checkHealth(guestTarget: string): Promise<void>;
  /** Ends the VMM behind the driver's back. */
  crash(record: MachineRecord): Promise<void>;
  /** Makes the VMM answer nothing any more. */
  hang(record: MachineRecord): Promise<void>;
  /** What is left of a machine on the host, one line each; files in its folder as `file NAME`. */
  leftovers(spec: MachineSpec): Promise<string[]>;
  /**
   * A machine that `origin` can be restored as: folder, network and user of its own, and a new
   * disk layer over the one of `origin`, which nobody writes any more.
   */
  makeSuccessor(origin: MachineSpec): Promise<MachineSpec>;
  /** A new layer over the present disk of a machine, for `switchDisk`. */
  makeLayer(spec: MachineSpec): Promise<{ path: string; format: 'qcow2' | 'raw' }>;
  /**
   * Copies the memory of a stopped machine, wherever `locateMemory` says that it is, to a file
   * with every block at its own address.
   */
  copyMemory(spec: MachineSpec, machine: Machine): Promise<RestoredMemory>;
  /** Frees everything around the machines. */
  close(): Promise<void>;
}
