/**
 * Restores a machine: a VMM with the same devices gets another machine's
 * memory, which comes lazily (guest-memory.ts), and its device state.
 */
import type { MachineRecord, RestoreSpec } from '../driver.js';
import { checkServed, openGuestMemory } from './guest-memory.js';
import type { QemuMachine } from './machine.js';
import { type QemuHost, startMachine, untilReady } from './start.js';

export async function restoreMachine(
  host: QemuHost,
  spec: RestoreSpec,
  recordBefore: (record: MachineRecord) => Promise<void>,
  signal: AbortSignal,
): Promise<QemuMachine> {
  await using memory = await openGuestMemory(spec);
  const plan = {
    start: { kind: 'restore' },
    inheritance: memory.inheritance,
    bring: async (machine: QemuMachine, either: AbortSignal) => {
      await untilReady(() => machine.checkAnswers(either), either);
      await machine.loadState(spec.statePath, either);
      await checkServed(machine.record.pid, spec.memory);
      await machine.run();
    },
  } as const;
  // Awaited here, since the inherited files are closed when this returns.
  return await startMachine(host, spec, plan, recordBefore, signal);
}
