/** Ends what earlier agents of this instance left behind. */
import type { MachineRecord } from '../driver.js';
import type { InstanceCgroups } from '../launch/cgroup.js';
import { endProcess } from '../launch/process-table.js';
import { machineProcesses, sandboxIdOfRecord } from './vmm-process.js';

/**
 * Ends the processes and removes the cgroups of all sandboxes of an instance
 * that no record holds.
 * @returns what was removed, one line each.
 */
export async function sweepMachines(
  held: readonly MachineRecord[],
  instanceId: string,
  cgroups: InstanceCgroups,
): Promise<string[]> {
  const heldIds = new Set(held.map(sandboxIdOfRecord));
  const removed = [];
  for (const sandboxId of await cgroups.list()) {
    if (heldIds.has(sandboxId)) continue;
    const pids = await cgroups.end(cgroups.pathsOf(sandboxId));
    removed.push(`cgroup of sandbox ${sandboxId} with ${pids.length} processes`);
  }
  // A launch that was cut off before it entered its cgroup.
  for (const process of await machineProcesses(instanceId)) {
    if (heldIds.has(process.sandboxId)) continue;
    await endProcess(process);
    removed.push(`process ${process.pid} of sandbox ${process.sandboxId}`);
  }
  return removed;
}
