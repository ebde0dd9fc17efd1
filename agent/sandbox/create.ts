/**
 * Boots a sandbox: ledger entry, folders, network, disk, machine, guest. Each
 * step defers its undo; when one fails, or the signal aborts, all are undone
 * and the ledger forgets the sandbox. If an undo fails, the ledger keeps the
 * sandbox as `stopping`, and the manager tries again later.
 */
import { mkdir } from 'node:fs/promises';
import { hostDiskFull, isDiskFull } from '../../lib/errors/disk-full.js';
import { Rollback } from '../../lib/lifecycle/rollback.js';
import { GuestClient } from '../guest/guest-client.js';
import type { Machine } from '../vmm/driver.js';
import { bootTimeout, vmmExited } from './errors.js';
import { freeSandbox } from './free.js';
import type { Host } from './host.js';
import type { Sandbox } from './sandbox.js';
import type { TemplateImages } from './template-catalog.js';

/** Time for the undo of a create, a VMM that is slow to end included. */
const FREE_TIMEOUT_MS = 60_000;

export interface CreateRequest {
  images: TemplateImages;
  /** Environment variables of every process. */
  env: Record<string, string>;
}

/** Boots `sandbox`; when it resolves the guest takes commands and the ledger says so. */
export async function createSandbox(
  host: Host,
  sandbox: Sandbox,
  request: CreateRequest,
  signal: AbortSignal,
): Promise<void> {
  const log = host.log.child({ sandbox_id: sandbox.id });
  await using rollback = new Rollback(
    (step, error) => log.error('undo failed', { step, error }),
    FREE_TIMEOUT_MS,
  );
  // Each thing stands in the entry before it is acquired, so the entry is the list of undos.
  rollback.defer('sandbox', () => undoCreate(host, sandbox));
  try {
    await host.ledger.put(sandbox.entry);
    await makeDirectories(sandbox);
    await acquireNetwork(host, sandbox, signal);
    await createRootfs(host, sandbox, request.images);
    const machine = await bootMachine(host, sandbox, request.images, signal);
    await initializeGuest(host, sandbox, machine, request.env, signal);
    await markRunning(host, sandbox);
  } catch (error) {
    throw isDiskFull(error) ? hostDiskFull(error) : error;
  }
  rollback.commit();
}

/** Frees what the entry holds, then forgets it; if that fails the entry stays, as `stopping`. */
async function undoCreate(host: Host, sandbox: Sandbox): Promise<void> {
  try {
    await freeSandbox(host, sandbox);
    await host.ledger.remove(sandbox.id);
  } catch (error) {
    sandbox.entry.phase = 'stopping';
    await host.ledger.put(sandbox.entry);
    throw error;
  }
}

async function makeDirectories(sandbox: Sandbox): Promise<void> {
  const { runDirectory, stateDirectory } = sandbox.entry;
  await mkdir(runDirectory, { recursive: true, mode: 0o700 });
  await mkdir(stateDirectory, { recursive: true, mode: 0o711 });
}

async function acquireNetwork(host: Host, sandbox: Sandbox, signal: AbortSignal): Promise<void> {
  await host.network.acquire(async (planned) => {
    sandbox.entry.slot = planned;
    await host.ledger.put(sandbox.entry);
  }, signal);
}

async function createRootfs(host: Host, sandbox: Sandbox, images: TemplateImages): Promise<void> {
  const rootfs = await host.rootfs.create({
    sandboxId: sandbox.id,
    imagePath: images.rootfsPath,
    directory: sandbox.entry.stateDirectory,
    uid: slotOf(sandbox).uid,
  });
  sandbox.entry.rootfs = rootfs;
  await host.ledger.put(sandbox.entry);
}

async function bootMachine(
  host: Host,
  sandbox: Sandbox,
  images: TemplateImages,
  signal: AbortSignal,
): Promise<Machine> {
  const { entry } = sandbox;
  const slot = slotOf(sandbox);
  if (!entry.rootfs) throw new Error('the root disk comes before the machine');
  const machine = await host.driver.boot(
    {
      sandboxId: entry.sandboxId,
      vcpus: entry.vcpus,
      memoryMb: entry.memoryMb,
      runDirectory: entry.runDirectory,
      rootfs: entry.rootfs,
      kernel: images.kernel,
      toolsPath: images.toolsPath,
      network: slot,
      uid: slot.uid,
    },
    async (record) => {
      entry.machine = record;
      await host.ledger.put(entry);
    },
    signal,
  );
  sandbox.machine = machine;
  return machine;
}

async function initializeGuest(
  host: Host,
  sandbox: Sandbox,
  machine: Machine,
  env: Record<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const guest = new GuestClient({
    target: machine.guestTarget,
    token: sandbox.entry.guestToken,
    log: host.log,
  });
  sandbox.guest = guest;

  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  void machine.exited.then((exit) => ended.abort(vmmExited(new Error(exit.detail))));
  const identity = { sandboxId: sandbox.id, templateId: sandbox.entry.template, env };
  try {
    await waitUntilReady(host, guest, machine, either);
    await guest.postInit(identity, either);
  } catch (error) {
    throw either.aborted ? either.reason : error;
  }
}

async function waitUntilReady(
  host: Host,
  guest: GuestClient,
  machine: Machine,
  signal: AbortSignal,
): Promise<void> {
  const { bootTimeoutMs } = host.limits;
  try {
    await guest.waitUntilReady(bootTimeoutMs, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw bootTimeout(bootTimeoutMs, await withConsole(machine, error));
  }
}

async function markRunning(host: Host, sandbox: Sandbox): Promise<void> {
  sandbox.entry.phase = 'running';
  sandbox.entry.startedAtMs = Date.now();
  await host.ledger.put(sandbox.entry);
  sandbox.touch();
}

/** The error with what the guest printed, for the operator's log. */
async function withConsole(machine: Machine, error: unknown): Promise<Error> {
  const console = await machine.readConsole().catch(() => 'no console');
  return new Error(`guest not ready; console: ${console.slice(-2000)}`, { cause: error });
}

function slotOf(sandbox: Sandbox) {
  if (!sandbox.entry.slot) throw new Error('the network slot comes before disk and machine');
  return sandbox.entry.slot;
}
