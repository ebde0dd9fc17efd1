/** Boots a machine: its kernel starts, and its virtual processors run. */
import { kernelArguments } from '../../../lib/images/kernel-arguments.js';
import type { MachineRecord, MachineSpec } from '../driver.js';
import type { QemuMachine } from './machine.js';
import { type QemuHost, startMachine, untilReady } from './start.js';

export async function bootMachine(
  host: QemuHost,
  spec: MachineSpec,
  recordBefore: (record: MachineRecord) => Promise<void>,
  signal: AbortSignal,
): Promise<QemuMachine> {
  const { guestAddress, gatewayAddress } = spec.network;
  const plan = {
    start: {
      kind: 'boot',
      kernelArguments: kernelArguments({ tscKhz: host.tscKhz, guestAddress, gatewayAddress }),
    },
    bring: (machine: QemuMachine, either: AbortSignal) =>
      untilReady(() => machine.checkRunning(either), either),
  } as const;
  return startMachine(host, spec, plan, recordBefore, signal);
}
