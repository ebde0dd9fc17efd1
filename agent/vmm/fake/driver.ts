/**
 * A driver without a VMM, for tests of everything above it: machines are
 * objects of this process, their guests speak the real contract, and every
 * step can be made to fail or to take its time.
 */
import { join } from 'node:path';
import { FaultPlan, type FaultStep } from '../../../lib/faults/fault-plan.js';
import type { Machine, MachineKind, MachineRecord, MachineSpec, VmmDriver } from '../driver.js';
import { vmmFailure } from './failure.js';
import { FakeMachine } from './machine.js';
import { FakeMachines } from './machines.js';

/** What a guest's boot takes when the caller does not say. */
const BOOT_MS = 5;
/** The same for a restore. */
const RESTORE_MS = 2;
const KIND: MachineKind = {
  driver: 'fake',
  accelerator: 'none',
  vmmVersion: '1',
  cpuModel: 'fake',
  deviceLayout: '1',
};

export interface FakeDriverOptions {
  /** Milliseconds from the start of a machine to a guest daemon that answers. */
  bootMs?: number;
  /** Milliseconds from a restore to a guest daemon that answers. */
  restoreMs?: number;
  /** What is other about this host's machines. */
  kind?: Partial<MachineKind>;
  faults?: FaultPlan;
  /** Machines of an earlier driver, so that it can recover them. */
  machines?: FakeMachines;
}

/** What a driver launches machines with. */
interface FakeHost {
  bootMs: number;
  restoreMs: number;
  faults: FaultPlan;
  machines: FakeMachines;
}

export interface FakeDriver extends VmmDriver {
  readonly faults: FaultPlan;
  readonly machines: FakeMachines;
  /** Run directories of the machines that run; empty when nothing has leaked. */
  held(): string[];
  /** Ends a machine as the death of its VMM would. @throws Error when there is none. */
  killVmm(runDirectory: string): Promise<void>;
  /** Makes a machine and its guest answer nothing any more. @throws Error when there is none. */
  hangVmm(runDirectory: string): void;
  /** Stops a machine as if its disk had no room for a write. @throws Error when there is none. */
  diskFull(runDirectory: string): Promise<void>;
}

/** Makes a driver. */
export function createFakeDriver(options: FakeDriverOptions = {}): FakeDriver {
  const { bootMs = BOOT_MS, restoreMs = RESTORE_MS } = options;
  const { faults = new FaultPlan(), machines = new FakeMachines() } = options;
  const host = { bootMs, restoreMs, faults, machines };
  return {
    name: 'fake',
    accelerator: 'none',
    faults,
    machines,

    boot(spec, recordBefore, signal) {
      const begin = (machine: FakeMachine) => machine.boot();
      return launch(host, { spec, steps: BOOT_STEPS, begin, recordBefore, signal });
    },

    kind: async () => ({ ...KIND, ...options.kind }),

    restore(spec, recordBefore, signal) {
      const begin = (machine: FakeMachine) => machine.restore(spec);
      return launch(host, { spec, steps: RESTORE_STEPS, begin, recordBefore, signal });
    },

    async recover(record) {
      await faults.reach('driver.recover');
      return machines.find(record);
    },

    async discard({ runDirectory }) {
      await faults.reach('driver.discard');
      await machines.findIn(runDirectory)?.end({ kind: 'exited', detail: 'discarded' });
    },

    async sweep(held) {
      await faults.reach('driver.sweep');
      const kept = new Set(held.map((record) => machines.find(record)));
      const stray = machines.all().filter((machine) => !kept.has(machine));
      await Promise.all(stray.map((machine) => machine.end({ kind: 'exited', detail: 'swept' })));
      return stray.map(({ record }) => `fake machine ${record.pid}`);
    },

    held: () => machines.all().map(({ record }) => record.runDirectory),
    killVmm: (runDirectory) =>
      existing(machines, runDirectory).end({ kind: 'exited', detail: 'the VMM was killed' }),
    hangVmm: (runDirectory) => existing(machines, runDirectory).hang(),
    diskFull: (runDirectory) => existing(machines, runDirectory).diskFull(),
  };
}

interface LaunchSteps {
  begun: FaultStep;
  recorded: FaultStep;
  started: FaultStep;
}

const BOOT_STEPS: LaunchSteps = {
  begun: 'driver.boot',
  recorded: 'driver.boot.recorded',
  started: 'driver.boot.started',
};
const RESTORE_STEPS: LaunchSteps = {
  begun: 'driver.restore',
  recorded: 'driver.restore.recorded',
  started: 'driver.restore.started',
};

interface Launch {
  spec: MachineSpec;
  steps: LaunchSteps;
  /** Makes the machine run. */
  begin: (machine: FakeMachine) => Promise<void>;
  recordBefore: (record: MachineRecord) => Promise<void>;
  signal: AbortSignal;
}

async function launch(host: FakeHost, plan: Launch): Promise<Machine> {
  const { spec, steps, begin, recordBefore, signal } = plan;
  const { faults, machines } = host;
  const socketPath = join(spec.runDirectory, 'envd.sock');
  const planned = plannedRecord(spec.runDirectory, socketPath);
  try {
    await faults.reach(steps.begun, signal);
    if (machines.findIn(spec.runDirectory)) throw new Error('the sandbox has a machine already');
    await recordBefore(planned);
    await faults.reach(steps.recorded, signal);
  } catch (error) {
    throw failed(error, signal);
  }

  const record = { ...planned, pid: machines.nextPid(), startTimeTicks: String(performance.now()) };
  const onEnd = () => machines.delete(record);
  const machine = new FakeMachine({ ...host, spec, record, socketPath, onEnd });
  machines.add(machine);

  try {
    await recordBefore(record);
    await begin(machine);
    await faults.reach(steps.started, signal);
    return machine;
  } catch (error) {
    await machine.end({ kind: 'destroyed', detail: 'launch failed' });
    throw failed(error, signal);
  }
}

function plannedRecord(runDirectory: string, socketPath: string): MachineRecord {
  return {
    driver: 'fake',
    pid: 0,
    startTimeTicks: '',
    runDirectory,
    cgroups: [],
    guestTarget: `unix:${socketPath}`,
  };
}

function existing(machines: FakeMachines, runDirectory: string): FakeMachine {
  const machine = machines.findIn(runDirectory);
  if (!machine) throw new Error(`no machine runs in ${runDirectory}`);
  return machine;
}

function failed(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  return vmmFailure(error, 'the virtual machine could not be started');
}
