/**
 * A process that boots a machine, as an agent does, prints its record and then
 * waits to be killed. Its argument is a JSON of AgentToKill.
 */
import type { MachineSpec } from '../../agent/vmm/driver.js';
import { createQemuDriver, type QemuDriverOptions } from '../../agent/vmm/qemu/driver.js';
import { silentLog } from '../../lib/log/log.js';

export interface AgentToKill {
  options: Omit<QemuDriverOptions, 'log'>;
  spec: MachineSpec;
}

const { options, spec } = JSON.parse(process.argv[2] ?? '') as AgentToKill;
const driver = createQemuDriver({ ...options, log: silentLog });
const machine = await driver.boot(spec, async () => undefined, new AbortController().signal);
console.log(JSON.stringify(machine.record));
setInterval(() => undefined, 60_000);
