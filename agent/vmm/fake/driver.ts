/**
 * A driver without a VMM, for tests of everything above it: machines are
 * objects of this process, their guests speak the real contract, and every
 * step can be made to fail or to take its time.
 */
import { join } from 'node:path';
import { Code, WrennError } from '../../../lib/errors/index.js';
import { FaultPlan } from '../../../lib/faults/fault-plan.js';
import type { Machine, MachineRecord, MachineSpec, VmmDriver } from '../driver.js';
import { FakeMachine } from './machine.js';
import { FakeMachines } from './machines.js';

/** What a guest's boot takes when the caller does not say. */
const BOOT_MS = 5;

export interface FakeDriverOptions {
  /** Milliseconds from the start of a machine to a guest daemon that answers. */
  bootMs?: number;
  faults?: FaultPlan;
  /** Machines of an earlier driver, so that it can recover them. */
  machines?: FakeMachines;
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
}

/** Makes a driver. */
export function createFakeDriver(options: FakeDriverOptions = {}): FakeDriver {
  const { bootMs = BOOT_MS, faults = new FaultPlan(), machines = new FakeMachines() } = options;
  return {
    name: 'fake',
    accelerator: 'none',
    faults,
    machines,

    boot: (spec, recordBefore, signal) =>
      boot({ bootMs, faults, machines }, spec, recordBefore, signal),

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
  };
}

async function boot(
  { bootMs, faults, machines }: Required<FakeDriverOptions>,
  spec: MachineSpec,
  recordBefore: (record: MachineRecord) => Promise<void>,
  signal: AbortSignal,
): Promise<Machine> {
  const socketPath = join(spec.runDirectory, 'envd.sock');
  const planned = plannedRecord(spec.runDirectory, socketPath);
  try {
    await faults.reach('driver.boot', signal);
    if (machines.findIn(spec.runDirectory)) throw new Error('the sandbox has a machine already');
    await recordBefore(planned);
    await faults.reach('driver.boot.recorded', signal);
  } catch (error) {
    throw failed(error, signal);
  }

  const record = { ...planned, pid: machines.nextPid(), startTimeTicks: String(performance.now()) };
  const machine = new FakeMachine({
    record,
    socketPath,
    faults,
    onEnd: () => machines.delete(record),
  });
  machines.add(machine);
  machine.start(bootMs);

  try {
    await recordBefore(record);
    await faults.reach('driver.boot.started', signal);
    return machine;
  } catch (error) {
    await machine.end({ kind: 'destroyed', detail: 'boot failed' });
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
  if (error instanceof WrennError) return error;
  return new WrennError(
    Code.UNAVAILABLE,
    'VMM_FAILED',
    'the virtual machine could not be started',
    {
      cause: error,
    },
  );
}
