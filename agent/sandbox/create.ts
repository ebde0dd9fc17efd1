/**
 * Boots a sandbox: ledger entry, folders, network, disk, machine, guest. Each
 * step defers its undo; when one fails, or the signal aborts, all are undone
 * and the ledger forgets the sandbox. If an undo fails, the ledger keeps the
 * sandbox as `stopping`, and the manager tries again later.
 */
import { mkdir, rm } from 'node:fs/promises';
import { Rollback } from '../../lib/lifecycle/rollback.js';
import { GuestClient } from '../guest/guest-client.js';
import type { Machine } from '../vmm/driver.js';
import { bootTimeout, vmmExited } from './errors.js';
import type { Host } from './host.js';
import type { Sandbox } from './sandbox.js';
import type { TemplateImages } from './template-catalog.js';

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
  let undone = true;
  await using rollback = new Rollback((step, error) => {
    undone = false;
    log.error('undo failed', { step, error });
  });

  rollback.defer('ledger entry', () =>
    undone ? forget(host, sandbox) : markStopping(host, sandbox),
  );
  await host.ledger.put(sandbox.entry);

  await makeDirectories(sandbox, rollback);
  await acquireNetwork(host, sandbox, rollback, signal);
  await createRootfs(host, sandbox, request.images, rollback);
  const machine = await bootMachine(host, sandbox, request.images, rollback, signal);
  await initializeGuest(host, sandbox, machine, request.env, rollback, signal);
  await markRunning(host, sandbox);
  rollback.commit();
}

async function forget(host: Host, sandbox: Sandbox): Promise<void> {
  await host.ledger.remove(sandbox.id);
}

async function markStopping(host: Host, sandbox: Sandbox): Promise<void> {
  sandbox.entry.phase = 'stopping';
  await host.ledger.put(sandbox.entry);
}

async function makeDirectories(sandbox: Sandbox, rollback: Rollback): Promise<void> {
  const { runDirectory, stateDirectory } = sandbox.entry;
  rollback.defer('folders', async () => {
    await rm(runDirectory, { recursive: true, force: true });
    await rm(stateDirectory, { recursive: true, force: true });
  });
  await mkdir(runDirectory, { recursive: true, mode: 0o700 });
  await mkdir(stateDirectory, { recursive: true, mode: 0o711 });
}

async function acquireNetwork(
  host: Host,
  sandbox: Sandbox,
  rollback: Rollback,
  signal: AbortSignal,
): Promise<void> {
  const slot = await host.network.acquire(async (planned) => {
    sandbox.entry.slot = planned;
    await host.ledger.put(sandbox.entry);
  }, signal);
  rollback.defer('network slot', () => host.network.release(slot));
}

async function createRootfs(
  host: Host,
  sandbox: Sandbox,
  images: TemplateImages,
  rollback: Rollback,
): Promise<void> {
  const rootfs = await host.rootfs.create({
    sandboxId: sandbox.id,
    imagePath: images.rootfsPath,
    directory: sandbox.entry.stateDirectory,
    uid: slotOf(sandbox).uid,
  });
  rollback.defer('root disk', () => host.rootfs.destroy(rootfs));
  sandbox.entry.rootfs = rootfs;
  await host.ledger.put(sandbox.entry);
}

async function bootMachine(
  host: Host,
  sandbox: Sandbox,
  images: TemplateImages,
  rollback: Rollback,
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
  rollback.defer('machine', () => machine.destroy());
  sandbox.machine = machine;
  return machine;
}

async function initializeGuest(
  host: Host,
  sandbox: Sandbox,
  machine: Machine,
  env: Record<string, string>,
  rollback: Rollback,
  signal: AbortSignal,
): Promise<void> {
  const guest = new GuestClient({
    target: machine.guestTarget,
    token: sandbox.entry.guestToken,
    log: host.log,
  });
  rollback.defer('guest connection', () => guest.close());
  sandbox.guest = guest;

  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  void machine.exited.then((exit) => ended.abort(vmmExited(new Error(exit.detail))));
  try {
    await guest.waitUntilReady(host.limits.bootTimeoutMs, either);
    await guest.postInit(
      { sandboxId: sandbox.id, templateId: sandbox.entry.template, env },
      either,
    );
  } catch (error) {
    if (either.aborted) throw either.reason;
    throw bootTimeout(host.limits.bootTimeoutMs, await withConsole(machine, error));
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
