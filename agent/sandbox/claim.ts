/**
 * Makes a machine that stands ready the machine of a new sandbox. All that it
 * holds goes over from one ledger entry to the other; both may list it for a
 * moment, and freeing it twice does no harm.
 */
import type { Host } from './host.js';
import { machineOf, openGuest, whileAlive } from './machine.js';
import { type RestoreStep, tellGuest } from './restore.js';
import type { Sandbox } from './sandbox.js';
import { StepTimes } from './step-times.js';

export interface ClaimOptions {
  env: Record<string, string> | undefined;
}

/** @throws VMM_EXITED, RESTORE_FAILED, GUEST_UNREACHABLE */
export async function claimMachine(
  host: Host,
  sandbox: Sandbox,
  ready: Sandbox,
  options: ClaimOptions,
  signal: AbortSignal,
): Promise<RestoreStep[]> {
  const times = new StepTimes();
  sandbox.takeOver(ready);
  await times.measure('record', async () => {
    await host.ledger.put(sandbox.entry);
    await host.ledger.remove(ready.id);
  });
  const machine = machineOf(sandbox);
  const steps = await whileAlive(sandbox, machine, signal, async (alive) => {
    await times.measure('run', () => machine.run());
    const guest = openGuest(host, sandbox, machine);
    const before = { token: ready.entry.guestToken, clone: true };
    return times.measure('guest', () => tellGuest(sandbox, guest, before, options, alive));
  });
  host.log.info('ready machine claimed', { sandbox_id: sandbox.id, ...times.fields() });
  return steps;
}
