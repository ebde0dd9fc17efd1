/** What booting and restoring a machine have in common. */
import { GuestClient } from '../guest/guest-client.js';
import type { Machine, MachineRecord, MachineSpec } from '../vmm/driver.js';
import { bootTimeout, memoryNotServed, vmmExited } from './errors.js';
import type { Host } from './host.js';
import type { Sandbox } from './sandbox.js';

/** Console output, in characters, that goes into the log when a guest does not become ready. */
const CONSOLE_LENGTH_MAX = 2000;

/** Makes the disk: an active layer over the sealed ones. */
export async function createRootfs(
  host: Host,
  sandbox: Sandbox,
  layers: readonly string[],
): Promise<void> {
  const { entry } = sandbox;
  const request = {
    sandboxId: sandbox.id,
    imagePath: entry.images.rootfsPath,
    layers,
    uid: slotOf(sandbox).uid,
  };
  entry.rootfs = await host.rootfs.create(request, async (planned) => {
    entry.rootfs = planned;
    await host.ledger.put(entry);
  });
}

export function machineSpec(sandbox: Sandbox): MachineSpec {
  const { entry } = sandbox;
  const slot = slotOf(sandbox);
  if (!entry.rootfs) throw new Error('the root disk comes before the machine');
  return {
    sandboxId: entry.sandboxId,
    vcpus: entry.vcpus,
    memoryMb: entry.memoryMb,
    runDirectory: entry.runDirectory,
    rootfs: entry.rootfs,
    kernel: { path: entry.images.kernelPath, initrdPath: entry.images.initrdPath },
    toolsPath: entry.images.toolsPath,
    network: slot,
    uid: slot.uid,
  };
}

/** For a driver: keeps what is known of a machine in the ledger. */
export function recordMachine(host: Host, { entry }: Sandbox) {
  return async (record: MachineRecord): Promise<void> => {
    entry.machine = record;
    await host.ledger.put(entry);
  };
}

/** A client on a connection of its own: none outlives the machine that it was made for. */
export function openGuest(host: Host, sandbox: Sandbox, machine: Machine): GuestClient {
  sandbox.guest?.close();
  const guest = new GuestClient({
    target: machine.guestTarget,
    token: sandbox.entry.guestToken,
    log: host.log,
  });
  sandbox.guest = guest;
  return guest;
}

/**
 * Does `work` until the machine ends or its memory cannot be served, which then is the error.
 * @param machine undefined while there is only its memory.
 */
export async function whileAlive<T>(
  sandbox: Sandbox,
  machine: Machine | undefined,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ended = new AbortController();
  void machine?.exited.then((exit) => ended.abort(vmmExited(new Error(exit.detail))));
  void sandbox.memory?.failed.then((failure) => {
    if (failure) ended.abort(memoryNotServed(failure));
  });
  const either = AbortSignal.any([signal, ended.signal]);
  try {
    return await work(either);
  } catch (error) {
    throw either.aborted ? either.reason : error;
  }
}

/** @throws BOOT_TIMEOUT when the guest's daemon does not answer in time. */
export async function waitUntilReady(
  host: Host,
  sandbox: Sandbox,
  guest: GuestClient,
  machine: Machine,
  signal: AbortSignal,
): Promise<void> {
  const { bootTimeoutMs } = host.limits;
  try {
    const { version } = await guest.waitUntilReady(bootTimeoutMs, signal);
    sandbox.entry.envdVersion = version;
  } catch (error) {
    signal.throwIfAborted();
    throw bootTimeout(bootTimeoutMs, await withConsole(machine, error));
  }
}

/** The error with what the guest printed, for the operator's log. */
async function withConsole(machine: Machine, error: unknown): Promise<Error> {
  const console = await machine.readConsole().catch(() => 'no console');
  return new Error(`guest not ready; console: ${console.slice(-CONSOLE_LENGTH_MAX)}`, {
    cause: error,
  });
}

export function machineOf(sandbox: Sandbox): Machine {
  if (!sandbox.machine) throw new Error('a running sandbox has a machine');
  return sandbox.machine;
}

export function slotOf({ entry }: Sandbox) {
  if (!entry.slot) throw new Error('the network slot comes before disk and machine');
  return entry.slot;
}
