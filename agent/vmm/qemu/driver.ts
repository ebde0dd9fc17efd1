/**
 * The QEMU driver: microVMs in software emulation or with KVM, controlled by
 * QMP. Each VMM runs confined (../launch/) and goes on without the agent.
 */
import { Code, WrennError } from '../../../lib/errors/index.js';
import type { Log } from '../../../lib/log/log.js';
import type { Machine, MachineRecord, MachineSpec, VmmDriver } from '../driver.js';
import { InstanceCgroups, inspectCgroups } from '../launch/cgroup.js';
import { MessagePipe } from '../launch/message-pipe.js';
import { bootMachine, type QemuHost } from './boot.js';
import type { Accelerator } from './command-line.js';
import { ExitWatch } from './exit-watch.js';
import { QemuMachine } from './machine.js';
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

  constructor(options: QemuDriverOptions) {
    this.accelerator = options.accelerator;
    this.#options = options;
  }

  async boot(
    spec: MachineSpec,
    recordBefore: (record: MachineRecord) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Machine> {
    signal.throwIfAborted();
    try {
      return await bootMachine(await this.#ready(), spec, recordBefore, signal);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw error instanceof WrennError ? error : vmmFailed(error);
    }
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
    await machine.checkRunning().catch((error: unknown) => {
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

  #ready(): Promise<QemuHost> {
    this.#host ??= hostOf(this.#options);
    return this.#host;
  }
}

async function hostOf({ cgroupRoot, qemuPath, ...options }: QemuDriverOptions): Promise<QemuHost> {
  const cgroups = new InstanceCgroups(await inspectCgroups(cgroupRoot), options.instanceId);
  return { ...options, cgroups, qemuPath: qemuPath ?? QEMU_PATH };
}

function vmmFailed(cause: unknown): WrennError {
  return new WrennError(
    Code.UNAVAILABLE,
    'VMM_FAILED',
    'the virtual machine could not be started',
    { cause },
  );
}
