/**
 * Ends what was left of snapshots: those whose making nobody waits for any
 * more, and those whose delete has not been finished.
 */
import { mapConcurrently } from '../../lib/lifecycle/map-concurrently.js';
import type { Log } from '../../lib/log/log.js';
import type { InFlight } from '../app/in-flight.js';
import type { SnapshotRemover } from '../app/snapshot-remover.js';
import { SNAPSHOT_TIMEOUT_MS } from '../hosts/host-agent.js';
import type { Stores } from '../store/index.js';
import type { SnapshotRecord } from '../store/snapshot.js';

/** Snapshots that are ended at the same time. */
export const SNAPSHOTS_AT_ONCE_MAX = 4;
/** Beyond the longest time that any process may still wait for a snapshot. */
export const CREATING_TIMEOUT_MS = SNAPSHOT_TIMEOUT_MS + 60_000;

export interface FinishSnapshotsParts {
  stores: Stores;
  snapshotRemover: SnapshotRemover;
  inFlight: InFlight;
  log: Log;
}

/** What fails here is tried again in the next pass. */
export async function finishSnapshots(parts: FinishSnapshotsParts, hostId: string): Promise<void> {
  const { snapshots, now } = await parts.stores.snapshots.unfinished(hostId);
  const idle = snapshots.filter(({ id }) => !parts.inFlight.has(id));
  await mapConcurrently(idle, SNAPSHOTS_AT_ONCE_MAX, async (snapshot) => {
    try {
      await finish(parts, snapshot, now);
    } catch (error) {
      parts.log.warn('snapshot not ended yet', { snapshot_id: snapshot.id, error });
    }
  });
}

async function finish(
  { stores, snapshotRemover, log }: FinishSnapshotsParts,
  snapshot: SnapshotRecord,
  now: Date,
): Promise<void> {
  const deleting = await toDeleting(stores, snapshot, now);
  if (!deleting) return;
  log.info('reconciler ends a snapshot', { snapshot_id: snapshot.id, state: snapshot.state });
  await snapshotRemover.remove(deleting);
}

async function toDeleting(
  stores: Stores,
  snapshot: SnapshotRecord,
  now: Date,
): Promise<SnapshotRecord | undefined> {
  if (snapshot.state === 'DELETING') return snapshot;
  const isLate = now.getTime() - snapshot.stateAt.getTime() > CREATING_TIMEOUT_MS;
  return isLate ? stores.snapshots.giveUp(snapshot) : undefined;
}
