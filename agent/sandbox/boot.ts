/** Boots a machine from kernel and disk, and makes its guest the sandbox. */
import type { Host } from './host.js';
import {
  createRootfs,
  machineSpec,
  openGuest,
  recordMachine,
  waitUntilReady,
  whileAlive,
} from './machine.js';
import type { Sandbox } from './sandbox.js';

export interface BootOptions {
  env: Record<string, string> | undefined;
}

/** @param layers sealed layers of the disk over the image, lowest first. */
export async function bootFrom(
  host: Host,
  sandbox: Sandbox,
  layers: readonly string[],
  { env = {} }: BootOptions,
  signal: AbortSignal,
): Promise<void> {
  await createRootfs(host, sandbox, layers);
  const record = recordMachine(host, sandbox);
  const machine = await host.driver.boot(machineSpec(sandbox), record, signal);
  sandbox.machine = machine;
  const guest = openGuest(host, sandbox, machine);
  await whileAlive(sandbox, machine, signal, async (alive) => {
    await waitUntilReady(host, sandbox, guest, machine, alive);
    const identity = { sandboxId: sandbox.id, templateId: sandbox.entry.template, env };
    await guest.postInit(identity, alive);
  });
}
