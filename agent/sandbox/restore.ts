/**
 * Restores a machine from a generation. Memory is brought in as the guest
 * touches it; the guest must then be told what has happened to it, and a step
 * of that which fails fails the restore.
 */
import { randomBytes } from 'node:crypto';
import type { GuestClient } from '../guest/guest-client.js';
import { requireCompatible } from '../snapshot/compatibility.js';
import type { GenerationManifest } from '../snapshot/generation.js';
import type { Machine } from '../vmm/driver.js';
import type { Host } from './host.js';
import {
  createRootfs,
  machineSpec,
  openGuest,
  recordMachine,
  slotOf,
  waitUntilReady,
  whileAlive,
} from './machine.js';
import type { Sandbox } from './sandbox.js';
import { StepTimes } from './step-times.js';
import { learnWorkingSet } from './working-set.js';

/** Random bytes that a restored kernel gets. */
const ENTROPY_BYTES = 64;
const MACHINE_ID_BYTES = 16;

/** One part of a guest's return to life. */
export interface RestoreStep {
  name: string;
  durationMs: number;
}

export interface RestoreOrigin {
  generationId: string;
  /** Whether the machine is one more and not the same again. */
  clone: boolean;
}

export interface RestoreOptions {
  /** Undefined leaves the variables that the guest has. */
  env: Record<string, string> | undefined;
  /** Whether the guest is told who it is. */
  identify: boolean;
}

/** What a guest was before it was restored. */
export interface GuestBefore {
  /** Token that it asks for; empty when it was never told who it is. */
  token: string;
  clone: boolean;
}

/** @throws SNAPSHOT_INCOMPATIBLE, SNAPSHOT_DAMAGED, RESTORE_FAILED, BOOT_TIMEOUT and what a driver throws. */
export async function restoreFrom(
  host: Host,
  sandbox: Sandbox,
  origin: RestoreOrigin,
  options: RestoreOptions,
  signal: AbortSignal,
): Promise<RestoreStep[]> {
  const times = new StepTimes();
  const manifest = host.snapshots.manifest(origin.generationId);
  await times.measure('check', () => checkGeneration(host, origin.generationId, manifest));
  await holdGeneration(host, sandbox, origin.generationId);
  await times.measure('disk', () => createRootfs(host, sandbox, manifest.disk.layers));
  await times.measure('memory', () => serveMemory(host, sandbox, origin.generationId));
  const machine = await times.measure('machine', () =>
    restoreMachine(host, sandbox, origin.generationId, signal),
  );
  const steps = await whileAlive(sandbox, machine, signal, async (alive) => {
    const guest = openGuest(host, sandbox, machine);
    await times.measure('ready', () => waitUntilReady(host, sandbox, guest, machine, alive));
    if (!options.identify) {
      sandbox.entry.guestToken = manifest.guest.token;
      return [];
    }
    const from = { token: manifest.guest.token, clone: origin.clone };
    return times.measure('guest', () => tellGuest(sandbox, guest, from, options, alive));
  });
  learnWorkingSet(host, sandbox, origin.generationId);
  host.log.info('machine restored', {
    sandbox_id: sandbox.id,
    generation_id: origin.generationId,
    memory: sandbox.memory?.backend.kind,
    ...times.fields(),
  });
  return steps;
}

/** Makes a restored guest the sandbox: clock, randomness, name, token, variables. */
export function tellGuest(
  sandbox: Sandbox,
  guest: GuestClient,
  { token, clone }: GuestBefore,
  { env }: Pick<RestoreOptions, 'env'>,
  signal: AbortSignal,
): Promise<RestoreStep[]> {
  const { template } = sandbox.entry;
  const restore = {
    identity: { sandboxId: sandbox.id, templateId: template, env: env ?? {} },
    oldToken: token,
    keepEnv: env === undefined,
    clone,
    entropy: randomBytes(ENTROPY_BYTES),
    machineId: randomBytes(MACHINE_ID_BYTES).toString('hex'),
  };
  return guest.postRestore(restore, signal);
}

async function checkGeneration(
  host: Host,
  generationId: string,
  manifest: GenerationManifest,
): Promise<void> {
  requireCompatible(manifest, await host.driver.kind());
  await host.snapshots.check(generationId);
  await Promise.all(manifest.disk.layers.map((layer) => host.rootfs.check(layer)));
}

/** From now on the machine needs the generation, for its memory and as what the next one differs from. */
async function holdGeneration(host: Host, sandbox: Sandbox, generationId: string): Promise<void> {
  sandbox.hold(host.snapshots, 'serving', generationId);
  sandbox.hold(host.snapshots, 'parent', generationId);
  await host.ledger.put(sandbox.entry);
}

async function serveMemory(host: Host, sandbox: Sandbox, generationId: string): Promise<void> {
  const { entry } = sandbox;
  const request = {
    memory: await host.snapshots.memoryFiles(generationId),
    workingSet: await host.snapshots.workingSet(generationId),
    runDirectory: entry.runDirectory,
    uid: slotOf(sandbox).uid,
  };
  sandbox.memory = await host.memory.serve(request, async (record) => {
    entry.memory = record;
    await host.ledger.put(entry);
  });
}

async function restoreMachine(
  host: Host,
  sandbox: Sandbox,
  generationId: string,
  signal: AbortSignal,
): Promise<Machine> {
  const { memory } = sandbox;
  if (!memory) throw new Error('the memory comes before the machine');
  const spec = {
    ...machineSpec(sandbox),
    statePath: host.snapshots.statePath(generationId),
    memory: memory.backend,
  };
  const machine = await whileAlive(sandbox, undefined, signal, (served) =>
    host.driver.restore(spec, recordMachine(host, sandbox), served),
  );
  sandbox.machine = machine;
  await memory.ready;
  return machine;
}
