/**
 * What boot and restore have in common: record, folder, cgroup, VMM process,
 * until its virtual processors run. Each step defers its undo; a start that
 * fails or is cancelled leaves nothing behind.
 */
import { chown } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ENVD_PORT } from '../../../lib/guest/contract.js';
import { retry } from '../../../lib/lifecycle/delay.js';
import { Rollback } from '../../../lib/lifecycle/rollback.js';
import type { Log } from '../../../lib/log/log.js';
import type { MachineRecord, MachineSpec } from '../driver.js';
import type { InstanceCgroups } from '../launch/cgroup.js';
import type { Confinement } from '../launch/confinement.js';
import { type Inheritance, type LaunchedProcess, launch } from '../launch/launch.js';
import { MessagePipe } from '../launch/message-pipe.js';
import { type Accelerator, commandLine, type MachineStart } from './command-line.js';
import { QemuMachine } from './machine.js';
import { largestFileBytes, machineLimits } from './resources.js';
import { freeMachine, qmpSocketPath } from './vmm-process.js';

/** Time from the start of the VMM until it is ready; the guest's boot is not in it. */
export const VMM_START_TIMEOUT_MS = 30_000;

const START_PAUSE_MS = 10;
const START_PAUSE_MS_MAX = 100;
const MESSAGE_PIPE_NAME = 'messages';

/** What all machines of a driver have in common. */
export interface QemuHost {
  instanceId: string;
  accelerator: Accelerator;
  qemuPath: string;
  tscKhz: number;
  hiddenDirectories: readonly string[];
  imagesDirectory: string;
  cgroups: InstanceCgroups;
  log: Log;
}

/** How a machine is started. */
export interface StartPlan {
  start: MachineStart;
  inheritance?: Inheritance;
  /**
   * Resolves when the virtual processors run.
   * @param signal aborts when the start is cancelled, and when the VMM ends.
   */
  bring(machine: QemuMachine, signal: AbortSignal): Promise<void>;
}

export async function startMachine(
  host: QemuHost,
  spec: MachineSpec,
  plan: StartPlan,
  recordBefore: (record: MachineRecord) => Promise<void>,
  signal: AbortSignal,
): Promise<QemuMachine> {
  const log = host.log.child({ sandbox_id: spec.sandboxId });
  await using rollback = new Rollback((step, error) => log.error('undo failed', { step, error }));
  const planned = plannedRecord(host, spec);
  await recordBefore(planned);
  signal.throwIfAborted();

  const messages = await openMessages(spec, rollback);
  return await withMessages(messages, async () => {
    await makeCgroup(host, spec, rollback);
    const vmm = await startVmm(host, spec, plan, messages);
    const record = { ...planned, pid: vmm.pid, startTimeTicks: vmm.startTimeTicks };
    const machine = startedMachine(host, record, vmm, messages, log);
    rollback.defer('machine', () => machine.destroy());

    await recordBefore(record);
    await plan.bring(machine, untilEnd(vmm, signal));
    machine.followConsole();
    rollback.commit();
    return machine;
  });
}

/** Asks a VMM that has just been started until it answers as it should. */
export async function untilReady(check: () => Promise<void>, signal: AbortSignal): Promise<void> {
  await retry(check, {
    timeoutMs: VMM_START_TIMEOUT_MS,
    pauseMs: START_PAUSE_MS,
    pauseMsMax: START_PAUSE_MS_MAX,
    signal,
  });
}

/** What can be said of a machine before anything of it is there. */
function plannedRecord({ cgroups }: QemuHost, spec: MachineSpec): MachineRecord {
  return {
    driver: 'qemu',
    pid: 0,
    startTimeTicks: '',
    runDirectory: spec.runDirectory,
    cgroups: cgroups.pathsOf(spec.sandboxId),
    guestTarget: `${spec.network.guestIp}:${ENVD_PORT}`,
  };
}

async function openMessages(spec: MachineSpec, rollback: Rollback): Promise<MessagePipe> {
  const messages = await MessagePipe.create(join(spec.runDirectory, MESSAGE_PIPE_NAME));
  rollback.defer('message pipe', () => messages.close());
  return messages;
}

async function makeCgroup(host: QemuHost, spec: MachineSpec, rollback: Rollback): Promise<void> {
  await host.cgroups.create(spec.sandboxId, machineLimits(spec, host.accelerator));
  rollback.defer('cgroup', async () => {
    await host.cgroups.end(host.cgroups.pathsOf(spec.sandboxId));
  });
}

async function startVmm(
  host: QemuHost,
  spec: MachineSpec,
  { start, inheritance }: StartPlan,
  messages: MessagePipe,
): Promise<LaunchedProcess> {
  const program = commandLine(spec, {
    instanceId: host.instanceId,
    accelerator: host.accelerator,
    qemuPath: host.qemuPath,
    qmpSocketPath: qmpSocketPath(spec.runDirectory),
    start,
  });
  const confinement = await confinementOf(host, spec);
  await chown(spec.runDirectory, spec.uid, spec.uid);
  return launch(program, confinement, messages, inheritance);
}

async function confinementOf(host: QemuHost, spec: MachineSpec): Promise<Confinement> {
  return {
    uid: spec.uid,
    namespace: spec.network.namespace,
    cgroups: host.cgroups.pathsOf(spec.sandboxId),
    devices: host.accelerator === 'kvm' ? ['tun', 'kvm'] : ['tun'],
    hiddenFolders: host.hiddenDirectories,
    shownFolders: [
      { path: host.imagesDirectory, writable: false },
      { path: spec.runDirectory, writable: true },
      { path: dirname(spec.rootfs.path), writable: true },
      ...spec.rootfs.layerFolders.map((path) => ({ path, writable: false })),
    ],
    fileBytesMax: await largestFileBytes(spec),
  };
}

function startedMachine(
  host: QemuHost,
  record: MachineRecord,
  { ended }: LaunchedProcess,
  messages: MessagePipe,
  log: Log,
): QemuMachine {
  return new QemuMachine({
    record,
    // The system tells a parent of the end of its child: there is nothing to watch.
    end: { ended, check: () => undefined, stop: () => undefined },
    messages,
    free: () => freeMachine(record, host.instanceId, host.cgroups),
    log,
  });
}

/** Aborts with the given signal, and when the VMM has ended. */
function untilEnd(vmm: LaunchedProcess, signal: AbortSignal): AbortSignal {
  const ended = new AbortController();
  void vmm.ended.then((how) => ended.abort(new Error(`the VMM ended: ${how}`)));
  return AbortSignal.any([signal, ended.signal]);
}

/** Adds what the VMM said to the error of a start. */
async function withMessages<T>(messages: MessagePipe, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const said = (await messages.read()).trim();
    throw said ? new Error(said, { cause: error }) : error;
  }
}
