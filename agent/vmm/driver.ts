/**
 * What the sandbox layer asks of a virtual machine monitor. Drivers live in
 * child folders (qemu, fake), never import each other, and all pass
 * test/conformance/vmm-driver.ts.
 *
 * Terms
 *   machine   one microVM and the VMM process that runs it
 *   record    what the ledger keeps of a machine: enough to find it again after
 *             the agent was killed
 *
 * A machine belongs to nobody's request: it lives until `destroy`, until its
 * VMM ends, or until the host goes down. The VMM process has its own session
 * and cgroup and no pipe to the agent.
 */

/** What to boot. All paths are absolute. */
export interface MachineSpec {
  sandboxId: string;
  vcpus: number;
  memoryMb: number;
  /** Private folder of this sandbox for sockets; made by the caller, given to `uid` by the driver. */
  runDirectory: string;
  /** Root disk, as the RootfsProvider made it. */
  rootfs: {
    path: string;
    format: 'qcow2' | 'raw';
    /** Folders of the sealed layers below it, which the VMM reads. */
    layerFolders: readonly string[];
  };
  kernel: { path: string; initrdPath: string };
  /** Read-only squashfs with envd and its Node. */
  toolsPath: string;
  network: MachineNetwork;
  /** Unprivileged user and group of the VMM process, this machine's own. */
  uid: number;
}

/** The part of a network slot that a machine sees. */
export interface MachineNetwork {
  /** Name of the network namespace, as `ip netns` lists it. */
  namespace: string;
  tapName: string;
  guestMac: string;
  /** Address with prefix length inside the guest, such as 169.254.0.21/30. */
  guestAddress: string;
  gatewayAddress: string;
  /** Address by which the host reaches the guest. */
  guestIp: string;
}

/** Where a restored machine's memory comes from. */
export type RestoredMemory =
  /** One file that holds every block at its own address; it is mapped privately and never written. */
  | { kind: 'file'; path: string }
  /** A page server that listens on this socket of the run directory; it serves each first access. */
  | { kind: 'pages'; socketPath: string };

/** What to restore. The kernel of a boot plays no part. */
export interface RestoreSpec extends MachineSpec {
  /** Device state, as `saveState` wrote it. */
  statePath: string;
  memory: RestoredMemory;
}

/** What a snapshot needs to find again where it is restored. All of it must be equal. */
export interface MachineKind {
  driver: string;
  accelerator: string;
  /** Version that the VMM says it has. */
  vmmVersion: string;
  /** Name of the processor that guests see; equal names have equal features. */
  cpuModel: string;
  /** Version of the list of devices and their order. */
  deviceLayout: string;
}

/** Where a stopped machine's memory can be read, by whoever may look into its process. */
export type MachineMemory =
  /** A shared memory file, to be opened before the machine runs or is let go; holes were never touched. */
  | { kind: 'memfd'; path: string }
  /** A private map of the file that the machine was restored from. */
  | { kind: 'private'; pid: number; address: bigint };

/** What identifies a machine across restarts of the agent. JSON-serializable. */
export interface MachineRecord {
  driver: string;
  /** Process of the VMM; 0 before it was started. */
  pid: number;
  /** Field 22 of /proc/PID/stat: with it a recycled pid is told from the VMM. Empty before its start. */
  startTimeTicks: string;
  runDirectory: string;
  cgroups: string[];
  guestTarget: string;
}

/** How a machine ended. */
export interface MachineExit {
  /** `destroyed` was asked for; `exited` came from the VMM or the guest. */
  kind: 'destroyed' | 'exited';
  /** Last lines of console and VMM messages, for the operator's log. */
  detail: string;
}

export interface Machine {
  readonly record: MachineRecord;
  /** gRPC target of the guest daemon, such as `10.192.0.3:49983` or `unix:/run/…`. */
  readonly guestTarget: string;
  /** Resolves, never rejects, within seconds after the VMM has ended, whoever started it. */
  readonly exited: Promise<MachineExit>;
  /**
   * Called when the VMM has stopped the virtual processors because a write found the host's disk
   * full. The write is repeated after `run`.
   */
  onDiskFull: (() => void) | undefined;
  /** Stops the virtual processors and flushes the disk to the host. Idempotent. */
  stop(): Promise<void>;
  /** Lets them run. Idempotent. */
  run(): Promise<void>;
  /**
   * Writes the state of all devices, without memory, to a new file, which the caller makes durable.
   * What the guest has written to its disk is durable when it resolves. The machine must be stopped.
   */
  saveState(path: string): Promise<void>;
  /** Where the memory is while the machine is stopped. */
  locateMemory(): Promise<MachineMemory>;
  /** Path of the disk's file that the machine writes. */
  diskPath(): Promise<string>;
  /** Lets further writes go to `rootfs`, which lies over the present disk. The machine must be stopped. */
  switchDisk(rootfs: { path: string; format: 'qcow2' | 'raw' }): Promise<void>;
  /** The last bytes that the guest wrote to its console; bounded. */
  readConsole(): Promise<string>;
  /**
   * Ends the VMM and frees what the driver acquired (process, sockets, cgroup).
   * Idempotent; succeeds for a VMM that hangs, is stopped or is gone.
   */
  destroy(): Promise<void>;
  /** Lets go of the machine without touching it, so that the agent can end. */
  release(): void;
}

export interface VmmDriver {
  readonly name: 'qemu' | 'fake';
  readonly accelerator: 'kvm' | 'tcg' | 'none';
  /**
   * Starts a VMM and the guest's boot; resolves when the vCPUs run.
   * @param recordBefore called with what is known before anything is acquired
   *   and again when the pid is known; it must be durable when it resolves.
   * @throws WrennError VMM_FAILED with the VMM's own words as cause; then
   *   nothing is left behind.
   */
  boot(
    spec: MachineSpec,
    recordBefore: (record: MachineRecord) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Machine>;
  /** What this driver's snapshots can be restored by. */
  kind(): Promise<MachineKind>;
  /**
   * Starts a VMM with the state of another machine; resolves when its vCPUs run.
   * Otherwise like `boot`.
   */
  restore(
    spec: RestoreSpec,
    recordBefore: (record: MachineRecord) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Machine>;
  /** Finds a machine of an earlier run; undefined when its VMM is gone. */
  recover(record: MachineRecord): Promise<Machine | undefined>;
  /** Frees what a record names although no machine is left. Idempotent. */
  discard(record: MachineRecord): Promise<void>;
  /**
   * Ends every VMM process and removes every cgroup of this instance that no
   * record holds. Touches nothing of another instance.
   * @returns what was removed, one line each, for the log.
   */
  sweep(held: readonly MachineRecord[]): Promise<string[]>;
}
