/** SnapshotService. */
import {
  type Snapshot,
  type SnapshotServiceService,
  SnapshotType,
} from '../../gen/ts/wrenn/v1/snapshot.js';
import { toTimestamp } from '../../lib/rpc/timestamp.js';
import { nextPageToken, toPageRequest } from '../app/page-token.js';
import type { SnapshotOperations } from '../app/snapshot.js';
import { teamOf } from '../auth/principal.js';
import type { SnapshotRecord } from '../store/snapshot.js';
import type { PublicHandlers } from './handlers.js';

const TYPES: Record<SnapshotRecord['type'], SnapshotType> = {
  base: SnapshotType.SNAPSHOT_TYPE_BASE,
  snapshot: SnapshotType.SNAPSHOT_TYPE_SNAPSHOT,
};

export function snapshotHandlers(
  snapshots: SnapshotOperations,
): PublicHandlers<typeof SnapshotServiceService> {
  return {
    createSnapshot: async ({ principal }, { sandboxId, name }) =>
      toSnapshot(await snapshots.create(teamOf(principal), sandboxId, name)),

    getSnapshot: async ({ principal }, { snapshotId }) =>
      toSnapshot(await snapshots.get(teamOf(principal), snapshotId)),

    listSnapshots: async ({ principal }, request) => {
      const page = await snapshots.list(teamOf(principal), toPageRequest(request));
      return { snapshots: page.items.map(toSnapshot), nextPageToken: nextPageToken(page) };
    },

    deleteSnapshot: async ({ principal }, { snapshotId }) => {
      await snapshots.delete(teamOf(principal), snapshotId);
      return {};
    },
  };
}

function toSnapshot(snapshot: SnapshotRecord): Snapshot {
  const { id, name, type, sandboxId, vcpus, memoryMb, sizeBytes, createdAt } = snapshot;
  return {
    ...{ snapshotId: id, name, sandboxId, vcpus, memoryMb, sizeBytes },
    type: TYPES[type],
    createdAt: toTimestamp(createdAt.getTime()),
  };
}
