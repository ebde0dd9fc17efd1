/** Opens the generations that are kept in a folder of this host. */
import type { FaultPlan } from '../../lib/faults/fault-plan.js';
import type { Log } from '../../lib/log/log.js';
import type { SnapshotStore } from './store.js';

export interface OpenStoreOptions {
  log: Log;
  /** What goes wrong in tests. */
  faults?: FaultPlan;
}

/**
 * Makes the folders and reads all refs and manifests. What cannot be read is logged and kept, and
 * so is all that it might need.
 */
export type OpenSnapshotStore = (
  folder: string,
  options: OpenStoreOptions,
) => Promise<SnapshotStore>;
