/**
 * The VMM process of a machine record: telling it from any other process, and
 * ending it with all that the record names. Works without the agent that
 * started it, for a VMM that hangs or is stopped, and again when it is done.
 */
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { MachineRecord } from '../driver.js';
import type { InstanceCgroups } from '../launch/cgroup.js';
import {
  commandLineOf,
  endProcess,
  identifyProcess,
  listPids,
  type ProcessIdentity,
} from '../launch/process-table.js';
import { machineNameIn } from './command-line.js';

const QMP_SOCKET_NAME = 'qmp.sock';
const STATE_SOCKET_NAME = 'state.sock';

export function qmpSocketPath(runDirectory: string): string {
  return join(runDirectory, QMP_SOCKET_NAME);
}

/** Where device state is streamed, from a VMM or to it. */
export function stateSocketPath(runDirectory: string): string {
  return join(runDirectory, STATE_SOCKET_NAME);
}

/** The sandbox whose machine a record is. */
export function sandboxIdOfRecord(record: MachineRecord): string {
  return basename(record.cgroups[0] ?? '');
}

/** A process that runs a machine of an instance, or is on its way to. */
export interface MachineProcess extends ProcessIdentity {
  sandboxId: string;
}

/** The process that has this pid, if it is one of a machine of this instance. */
async function machineProcess(
  pid: number,
  instanceId: string,
): Promise<MachineProcess | undefined> {
  const sandboxId = machineNameIn(await commandLineOf(pid), instanceId);
  const identity = await identifyProcess(pid);
  return sandboxId !== undefined && identity ? { ...identity, sandboxId } : undefined;
}

/** All processes on the host that run machines of this instance. */
export async function machineProcesses(instanceId: string): Promise<MachineProcess[]> {
  const found = [];
  for (const pid of await listPids()) {
    const process = await machineProcess(pid, instanceId);
    if (process) found.push(process);
  }
  return found;
}

/** Whether the VMM of a record still runs; its start time and its arguments must be the record's. */
export async function isRecordedProcess(
  record: MachineRecord,
  instanceId: string,
): Promise<boolean> {
  const process = await machineProcess(record.pid, instanceId);
  return (
    process !== undefined &&
    process.startTimeTicks === record.startTimeTicks &&
    process.sandboxId === sandboxIdOfRecord(record)
  );
}

/** Ends the VMM of a record and removes its cgroup and sockets. Idempotent. */
export async function freeMachine(
  record: MachineRecord,
  instanceId: string,
  cgroups: InstanceCgroups,
): Promise<void> {
  if (await isRecordedProcess(record, instanceId)) await endProcess(record);
  // Without its cgroup a launch that was cut off in its first moments cannot go on either.
  await cgroups.end(record.cgroups);
  for (const path of [qmpSocketPath, stateSocketPath]) {
    await rm(path(record.runDirectory), { force: true });
  }
}
