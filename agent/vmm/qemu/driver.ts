/**
 * The QEMU driver: microVMs in software emulation or with KVM, controlled by
 * QMP. Each VMM runs confined (../launch/) and goes on without the agent.
 */
import type { Log } from '../../../lib/log/log.js';
import type {
  Machine,
  MachineKind,
  MachineRecord,
  MachineSpec,
  RestoreSpec,
  VmmDriver,
} from '../driver.js';
import { InstanceCgroups, inspectCgroups } from '../launch/cgroup.js';
import { MessagePipe } from '../launch/message-pipe.js';
import { bootMachine } from './boot.js';
import type { Accelerator } from './command-line.js';
import { vmmFailed } from './errors.js';
import { ExitWatch } from './exit-watch.js';
import { QemuMachine } from './machine.js';
import { machineKind } from './machine-kind.js';
import { restoreMachine } from './restore.js';
import type { QemuHost } from './start.js';
import { sweepMachines } from './sweep.js';
import { freeMachine, isRecordedProcess } from './vmm-process.js';

/** Where Debian has it. */
export const QEMU_PATH = '/usr/bin/qemu-system-x86_64';

export interface QemuDriverOptions {
  instanceId: string;
  accelerator: Accelerator;
  /** Rate of the host's time stamp counter, which a guest's kernel cannot always find out. */
  tscKhz: number;
  /** Folders of the platform, out of which a VMM sees only what belongs to its machine. */
  hiddenDirectories: readonly string[];
  /** Kernel, tools and templates; a VMM may read all of them. */
  imagesDirectory: string;
  log: Log;
  /** Absolute path. */
  qemuPath?: string;
  /** Where cgroups are mounted. */
  cgroupRoot?: string;
}

export function createQemuDriver(options: QemuDriverOptions): VmmDriver {
  return new QemuDriver(options);
}

class QemuDriver implements VmmDriver {
  readonly name = 'qemu';
  readonly accelerator: Accelerator;
  readonly #options: QemuDriverOptions;
  #host: Promise<QemuHost> | undefined;
  #kind: Promise<MachineKind> | undefined;

  constructor(options: QemuDriverOptions) {
    this.accelerator = options.accelerator;
    this.#options = options;
  }

  boot(
    spec: MachineSpec,
    recordBefore: (record: MachineRecord) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Machine> {
    return this.#start(signal, (host) => bootMachine(host, spec, recordBefore, signal));
  }

  restore(
    spec: RestoreSpec,
    recordBefore: (record: MachineRecord) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Machine> {
    return this.#start(signal, (host) => restoreMachine(host, spec, recordBefore, signal));
  }

  async kind(): Promise<MachineKind> {
    const { qemuPath } = await this.#ready();
    this.#kind ??= machineKind(qemuPath, this.accelerator).catch((error: unknown) => {
      this.#kind = undefined;
      throw vmmFailed('has no known kind', error);
    });
    return this.#kind;
  }

  async recover(record: MachineRecord): Promise<Machine | undefined> {
    const { instanceId, cgroups, log } = await this.#ready();
    if (!(await isRecordedProcess(record, instanceId))) return undefined;
    const end = new ExitWatch(record);
    const machine = new QemuMachine({
      record,
      end,
      messages: await MessagePipe.ofProcess(record.pid).catch(() => undefined),
      free: () => freeMachine(record, instanceId, cgroups),
      log,
    });
    await machine.checkAnswers().catch((error: unknown) => {
      log.warn('recovered vmm does not answer', { pid: record.pid, error });
    });
    machine.followConsole();
    return machine;
  }

  async discard(record: MachineRecord): Promise<void> {
    const { instanceId, cgroups } = await this.#ready();
    await freeMachine(record, instanceId, cgroups);
  }

  async sweep(held: readonly MachineRecord[]): Promise<string[]> {
    const { instanceId, cgroups } = await this.#ready();
    return sweepMachines(held, instanceId, cgroups);
  }

  async #start(
    signal: AbortSignal,
    work: (host: QemuHost) => Promise<QemuMachine>,
  ): Promise<QemuMachine> {
    signal.throwIfAborted();
    try {
      return await work(await this.#ready());
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw vmmFailed('could not be started', error);
    }
  }

  #ready(): Promise<QemuHost> {
    this.#host ??= hostOf(this.#options);
    return this.#host;
  }
}

async function hostOf({ cgroupRoot, qemuPath, ...options }: QemuDriverOptions): Promise<QemuHost> {
  const cgroups = new InstanceCgroups(await inspectCgroups(cgroupRoot), options.instanceId);
  return { ...options, cgroups, qemuPath: qemuPath ?? QEMU_PATH };
}
