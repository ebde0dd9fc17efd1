/** Named snapshots of sandboxes, and what a sandbox's own generations are. */
import type { SandboxImages } from '../ledger/entry.js';
import type { Lineage } from '../snapshot/generation.js';
import { captureGeneration, mergeDiskOf } from './capture.js';
import { noGeneration, sandboxNotFound, snapshotNotFound } from './errors.js';
import type { Host } from './host.js';
import { checkId, checkSandboxId, checkTemplateName } from './names.js';
import { findPaused } from './pausing.js';
import type { SandboxRegistry } from './registry.js';
import type { Sandbox } from './sandbox.js';
import { StepTimes } from './step-times.js';
import { keepWorkingSet } from './working-set.js';

export interface SnapshotOptions {
  sandboxId: string;
  snapshotId: string;
  /** What its owner calls it; it names nothing on this host. */
  name: string;
}

export interface SnapshotInfo {
  snapshotId: string;
  generationId: string;
  vcpus: number;
  memoryMb: number;
  sizeBytes: number;
  /** Variables of its programs. */
  env: Record<string, string>;
  images: SandboxImages;
}

/**
 * Keeps a running or paused sandbox as it is now; a running one goes on. A snapshot that is there
 * already is returned.
 * @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, HOST_DISK_FULL, PAUSE_FAILED
 */
export async function createSnapshot(
  registry: SandboxRegistry,
  { sandboxId, snapshotId, name }: SnapshotOptions,
): Promise<SnapshotInfo> {
  checkSandboxId(sandboxId);
  checkId('snapshot_id', snapshotId);
  checkTemplateName(name);
  const { host } = registry;
  return registry.locked(sandboxId, async () => {
    if (!host.snapshots.ref('snapshot', snapshotId)) {
      await freeze(registry, sandboxId, async (generationId, env) => {
        await host.snapshots.setRef({
          kind: 'snapshot',
          name: snapshotId,
          generationId,
          phase: 'paused',
          updatedAtMs: Date.now(),
          details: { name, env },
        });
      });
    }
    return findSnapshot(host, snapshotId);
  });
}

/** Idempotent. Sandboxes that were started from it keep what they need. */
export async function deleteSnapshot(registry: SandboxRegistry, snapshotId: string): Promise<void> {
  checkId('snapshot_id', snapshotId);
  await registry.host.snapshots.removeRef('snapshot', snapshotId);
  registry.collectGarbage();
}

/** @throws SNAPSHOT_NOT_FOUND */
export async function findSnapshot(host: Host, snapshotId: string): Promise<SnapshotInfo> {
  const ref = host.snapshots.ref('snapshot', snapshotId);
  if (!ref) throw snapshotNotFound(snapshotId);
  const { vcpus, memoryMb, disk } = host.snapshots.manifest(ref.generationId);
  const layers = await Promise.all(disk.layers.map((layer) => host.rootfs.sizeBytes(layer)));
  const ownBytes = await host.snapshots.sizeBytes(ref.generationId);
  const sizeBytes = layers.reduce((sum, bytes) => sum + bytes, ownBytes);
  const env = ref.details.env as Record<string, string>;
  const { imagePath, toolsPath, kernelPath, initrdPath } = disk;
  return {
    ...{ snapshotId, generationId: ref.generationId, vcpus, memoryMb, sizeBytes, env },
    images: { rootfsPath: imagePath, toolsPath, kernelPath, initrdPath },
  };
}

/**
 * Makes the present state of a sandbox, whose lock the caller holds, a generation.
 * @param commit makes it known by a ref.
 */
export async function freeze(
  registry: SandboxRegistry,
  sandboxId: string,
  commit: (generationId: string, env: Record<string, string>) => Promise<void>,
): Promise<void> {
  const paused = registry.get(sandboxId) ? undefined : findPaused(registry, sandboxId);
  if (paused) return commit(paused.generationId, paused.env);
  const sandbox = registry.running(sandboxId);
  try {
    await freezeRunning(registry.host, sandbox, (id) => commit(id, sandbox.entry.env));
  } finally {
    if (sandbox.isStuck) await registry.endHeld(sandbox, 'PAUSE_FAILED');
    registry.collectGarbage();
  }
}

/** Calls into the guest wait while it stands still. */
async function freezeRunning(
  host: Host,
  sandbox: Sandbox,
  commit: (generationId: string) => Promise<void>,
): Promise<void> {
  const times = new StepTimes();
  const generationId = await captureGeneration(host, sandbox, { goesOn: true, times, commit });
  sandbox.hold(host.snapshots, 'parent', generationId);
  delete sandbox.entry.draftGenerationId;
  await host.ledger.put(sandbox.entry);
  const shortId = await shortenSnapshot(host, sandbox, generationId);
  await keepWorkingSet(host, sandbox.memory?.workingSet(), shortId);
  host.log.info('sandbox frozen', {
    sandbox_id: sandbox.id,
    generation_id: generationId,
    ...times.fields(),
  });
}

/** Merges the chain that the snapshot stands on when it is long, so that the next one does not. */
async function shortenSnapshot(
  host: Host,
  sandbox: Sandbox,
  generationId: string,
): Promise<string> {
  try {
    const shortId = await host.snapshots.consolidate(generationId, mergeDiskOf(host));
    if (shortId === generationId) return generationId;
    try {
      for (const ref of host.snapshots.refs()) {
        if (ref.generationId !== generationId) continue;
        await host.snapshots.setRef({ ...ref, generationId: shortId, updatedAtMs: Date.now() });
      }
      sandbox.hold(host.snapshots, 'parent', shortId);
    } finally {
      await host.snapshots.abandon(shortId);
    }
    await host.ledger.put(sandbox.entry);
    return shortId;
  } catch (error) {
    host.log.warn('chain not merged yet', { sandbox_id: sandbox.id, error });
    return generationId;
  }
}

/** What a sandbox's newest generation is made of, oldest first; nothing when it was never paused. */
export function listGenerations(registry: SandboxRegistry, sandboxId: string): Lineage[] {
  checkSandboxId(sandboxId);
  const { host } = registry;
  const ref = host.snapshots.ref('sandbox', sandboxId);
  if (ref) return host.snapshots.manifest(ref.generationId).lineage;
  if (!registry.get(sandboxId)) throw sandboxNotFound(sandboxId);
  return [];
}

export interface Verified {
  generationId: string;
  verifiedBytes: number;
}

/**
 * Reads the newest generation of a sandbox and compares it with its checksums.
 * @throws SNAPSHOT_DAMAGED with the artifact, SANDBOX_NOT_FOUND, SANDBOX_STATE when there is none.
 */
export async function verifyGeneration(
  registry: SandboxRegistry,
  sandboxId: string,
): Promise<Verified> {
  checkSandboxId(sandboxId);
  const { host } = registry;
  const ref = host.snapshots.ref('sandbox', sandboxId);
  if (!ref) throw registry.get(sandboxId) ? noGeneration(sandboxId) : sandboxNotFound(sandboxId);
  const { generationId } = ref;
  const hold = host.snapshots.hold(generationId);
  try {
    const { verifiedBytes } = await host.snapshots.verify(generationId);
    let layerBytes = 0;
    for (const layer of host.snapshots.manifest(generationId).disk.layers) {
      await host.rootfs.verify(layer);
      layerBytes += await host.rootfs.sizeBytes(layer);
    }
    return { generationId, verifiedBytes: verifiedBytes + layerBytes };
  } finally {
    hold.release();
  }
}
