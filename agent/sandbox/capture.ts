/**
 * Writes a machine down as a generation: device state, what has changed of its
 * memory, and its disk layer, all of the same instant, while its virtual
 * processors stand still. Whatever fails, they run again.
 */
import { open } from 'node:fs/promises';
import { hostDiskFull, isDiskFull } from '../../lib/errors/disk-full.js';
import { WrennError } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { Rollback } from '../../lib/lifecycle/rollback.js';
import type { Rootfs } from '../rootfs/provider.js';
import type { GenerationDraft, WriteMemoryRequest } from '../snapshot/store.js';
import type { Machine } from '../vmm/driver.js';
import { pauseFailed, tooManyLayers } from './errors.js';
import type { Host } from './host.js';
import { machineOf, slotOf } from './machine.js';
import type { Sandbox } from './sandbox.js';
import type { StepTimes } from './step-times.js';

export interface CaptureOptions {
  /** Whether the machine goes on afterwards, on a new layer over the sealed one. */
  goesOn: boolean;
  /** Makes the finished generation known by a ref; the capture holds when it resolves. */
  commit: (generationId: string) => Promise<void>;
  times: StepTimes;
}

/**
 * @returns the id of the generation.
 * @throws HOST_DISK_FULL or PAUSE_FAILED; then the machine runs as if nothing had been, unless
 *   `sandbox.isStuck` says that it cannot be made to.
 */
export async function captureGeneration(
  host: Host,
  sandbox: Sandbox,
  options: CaptureOptions,
): Promise<string> {
  await using rollback = new Rollback((step, error) => {
    if (step === VCPUS) sandbox.isStuck = true;
    host.log.error('undo failed', { sandbox_id: sandbox.id, step, error });
  });
  try {
    const draft = await beginDraft(host, sandbox, options.times, rollback);
    const layers = await writeMachine(host, sandbox, draft, options, rollback);
    await sealAndCommit(host, sandbox, draft, layers, options);
    rollback.commit();
    return draft.id;
  } catch (error) {
    if (isDiskFull(error)) throw hostDiskFull(error);
    throw error instanceof WrennError ? error : pauseFailed(sandbox.id, error);
  }
}

/** Sealed layers below the disk of a machine that goes on: only a pause can merge them. */
export const LIVE_LAYERS_MAX = 64;

/** Name of the undo after whose failure the machine cannot be used any more. */
const VCPUS = 'virtual processors';

async function beginDraft(
  host: Host,
  sandbox: Sandbox,
  times: StepTimes,
  rollback: Rollback,
): Promise<GenerationDraft> {
  const { entry } = sandbox;
  await times.measure('shorten', () => shortenParent(host, sandbox));
  const draft = await host.snapshots.begin(randomId());
  rollback.defer('generation', () => draft.abandon());
  entry.draftGenerationId = draft.id;
  await host.ledger.put(entry);
  return draft;
}

/**
 * A parent that could not be shortened when it was made is shortened now, while the machine still
 * runs: one more generation over it would be too many.
 */
async function shortenParent(host: Host, sandbox: Sandbox): Promise<void> {
  const parentId = sandbox.entry.parentGenerationId;
  if (!parentId) return;
  const shortId = await host.snapshots.consolidate(parentId, mergeDiskOf(host));
  if (shortId === parentId) return;
  sandbox.hold(host.snapshots, 'parent', shortId);
  await host.snapshots.abandon(shortId);
}

/**
 * The window in which the machine stands still.
 * @returns ids of the layers that its disk then has, lowest first.
 */
async function writeMachine(
  host: Host,
  sandbox: Sandbox,
  draft: GenerationDraft,
  { goesOn, times }: CaptureOptions,
  rollback: Rollback,
): Promise<string[]> {
  const machine = machineOf(sandbox);
  const disk = diskOf(sandbox);
  if (goesOn) await times.measure('layer', () => makeNextLayer(host, sandbox, rollback));
  rollback.defer(VCPUS, () => machine.run());
  await times.measure('stop', () => machine.stop());
  await times.measure('state', () => machine.saveState(draft.statePath));
  await times.measure('memory', () => writeMemory(sandbox, machine, draft));
  if (goesOn) {
    await times.measure('disk', () => switchLayer(sandbox, machine));
    await times.measure('run', () => machine.run());
    // Until then the ledger names both layers, and recovery asks the machine which one it writes.
    await host.ledger.put(sandbox.entry);
  } else {
    rollback.defer('disk layer', () => host.rootfs.unseal(disk, slotOf(sandbox).uid));
  }
  // A layer that another lies over is written no more, so sealing it takes no time of the machine.
  await times.measure('seal_disk', () => host.rootfs.seal(disk));
  return [...disk.layers, disk.layer];
}

async function writeMemory(
  sandbox: Sandbox,
  machine: Machine,
  draft: GenerationDraft,
): Promise<void> {
  const memory = await machine.locateMemory();
  const removed = await sandbox.memory?.removed();
  const write = async (source: WriteMemoryRequest['source']) =>
    draft.writeMemory({
      source,
      sizeBytes: sandbox.entry.memoryMb * 1024 * 1024,
      parentGenerationId: sandbox.entry.parentGenerationId,
      removed,
    });
  if (memory.kind === 'private') {
    await write(memory);
    return;
  }
  await using file = await open(memory.path, 'r');
  await write({ kind: 'memfd', fd: file.fd });
}

/** Makes the layer that the machine will write when it goes on, while it still runs. */
async function makeNextLayer(host: Host, sandbox: Sandbox, rollback: Rollback): Promise<void> {
  const { entry } = sandbox;
  const { imagePath, layers, layer } = diskOf(sandbox);
  if (layers.length >= LIVE_LAYERS_MAX) throw tooManyLayers(sandbox.id, layers.length);
  rollback.defer('next layer', async () => {
    if (entry.nextRootfs) await host.rootfs.destroy(entry.nextRootfs);
    delete entry.nextRootfs;
  });
  const request = {
    sandboxId: sandbox.id,
    imagePath,
    layers: [...layers, layer],
    uid: slotOf(sandbox).uid,
  };
  entry.nextRootfs = await host.rootfs.create(request, async (planned) => {
    entry.nextRootfs = planned;
    await host.ledger.put(entry);
  });
}

async function switchLayer(sandbox: Sandbox, machine: Machine): Promise<void> {
  const { entry } = sandbox;
  const { nextRootfs } = entry;
  if (!nextRootfs) throw new Error('the next layer comes before the switch to it');
  try {
    await machine.switchDisk(nextRootfs);
  } catch (error) {
    // The answer may have been lost after the switch was made.
    const path = await machine.diskPath().catch(() => undefined);
    if (path === undefined) sandbox.isStuck = true;
    if (path !== nextRootfs.path) throw error;
  }
  entry.rootfs = nextRootfs;
  delete entry.nextRootfs;
}

async function sealAndCommit(
  host: Host,
  sandbox: Sandbox,
  draft: GenerationDraft,
  layers: string[],
  { commit, times }: CaptureOptions,
): Promise<void> {
  const { entry } = sandbox;
  await times.measure('seal', async () => {
    await draft.seal({
      createdAtMs: Date.now(),
      template: entry.template,
      vcpus: entry.vcpus,
      memoryMb: entry.memoryMb,
      machine: await host.driver.kind(),
      guest: { envdVersion: entry.envdVersion ?? '', token: entry.guestToken },
      disk: {
        imagePath: entry.images.rootfsPath,
        toolsPath: entry.images.toolsPath,
        kernelPath: entry.images.kernelPath,
        initrdPath: entry.images.initrdPath,
        layers,
      },
      diskBytes: await host.rootfs.sizeBytes(layers.at(-1) ?? ''),
    });
  });
  await times.measure('commit', () => commit(draft.id));
}

function diskOf({ entry }: Sandbox): Rootfs {
  if (!entry.rootfs) throw new Error('a machine has a disk');
  return entry.rootfs;
}

/** For a store: makes one layer of several. */
export function mergeDiskOf(host: Host) {
  return (imagePath: string, layers: readonly string[]) => host.rootfs.merge(imagePath, layers);
}
