/** Keeps the chains of paused sandboxes and snapshots short: a long one is merged after it was committed. */
import { mergeDiskOf } from './capture.js';
import type { Host } from './host.js';
import { type PausedSandbox, toRef } from './sandbox-ref.js';

/**
 * Merges the chain of a paused sandbox when it has become too long. When that fails the sandbox
 * stays as it is, and the next pause tries again.
 */
export async function shortenRef(host: Host, paused: PausedSandbox): Promise<PausedSandbox> {
  const { sandboxId, generationId } = paused;
  try {
    const shortId = await host.snapshots.consolidate(generationId, mergeDiskOf(host));
    if (shortId === generationId) return paused;
    const { layers } = host.snapshots.manifest(shortId).disk;
    const shorter = { ...paused, generationId: shortId, layers };
    try {
      await host.snapshots.setRef(toRef(shorter, 'paused'));
    } finally {
      await host.snapshots.abandon(shortId);
    }
    host.log.info('chain merged', { sandbox_id: sandboxId, generation_id: shortId });
    return shorter;
  } catch (error) {
    host.log.warn('chain not merged yet', { sandbox_id: sandboxId, error });
    return paused;
  }
}
