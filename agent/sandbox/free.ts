/**
 * Frees all that a sandbox's ledger entry holds: the machine first, since the
 * rest is in its use; then memory, disk, network and folders, each even when
 * another fails. What has been freed leaves the entry, so that a repeated call
 * does only what is left.
 */
import { rm } from 'node:fs/promises';
import type { Host } from './host.js';
import type { Sandbox } from './sandbox.js';

/** @throws AggregateError of all that could not be freed; call again for it. */
export async function freeSandbox(host: Host, sandbox: Sandbox): Promise<void> {
  sandbox.guest?.close();
  sandbox.guest = undefined;
  await endMachine(host, sandbox);
  const failures = [
    await attempt(() => closeMemory(sandbox)),
    await attempt(() => destroyRootfs(host, sandbox)),
    await attempt(() => releaseNetwork(host, sandbox)),
    await attempt(() => removeDirectory(sandbox)),
  ].filter((failure) => failure !== undefined);
  if (failures.length > 0)
    throw new AggregateError(failures, 'the sandbox could not be freed completely');
}

async function endMachine(host: Host, sandbox: Sandbox): Promise<void> {
  const { entry } = sandbox;
  if (sandbox.machine) await sandbox.machine.destroy();
  else if (entry.machine) await host.driver.discard(entry.machine);
  sandbox.machine = undefined;
  delete entry.machine;
}

async function closeMemory(sandbox: Sandbox): Promise<void> {
  await sandbox.memory?.close();
  sandbox.memory = undefined;
  delete sandbox.entry.memory;
  sandbox.releaseHolds();
}

async function destroyRootfs(host: Host, { entry }: Sandbox): Promise<void> {
  if (entry.nextRootfs) await host.rootfs.destroy(entry.nextRootfs);
  delete entry.nextRootfs;
  if (entry.rootfs) await host.rootfs.destroy(entry.rootfs);
  delete entry.rootfs;
}

async function releaseNetwork(host: Host, { entry }: Sandbox): Promise<void> {
  if (!entry.slot) return;
  await host.network.release(entry.slot);
  delete entry.slot;
}

async function removeDirectory({ entry }: Sandbox): Promise<void> {
  await rm(entry.runDirectory, { recursive: true, force: true });
}

async function attempt(step: () => Promise<void>): Promise<unknown> {
  try {
    await step();
    return undefined;
  } catch (error) {
    return error;
  }
}
