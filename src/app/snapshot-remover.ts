/** Ends snapshots for good: first on the host, then in the database. */
import type { HostAgent } from '../hosts/host-agent.js';
import type { SnapshotRecord, SnapshotStore } from '../store/snapshot.js';

export class SnapshotRemover {
  readonly #store: SnapshotStore;
  readonly #host: HostAgent;

  constructor(store: SnapshotStore, host: HostAgent) {
    this.#store = store;
    this.#host = host;
  }

  /**
   * Ends a snapshot in state DELETING.
   * @throws HOST_UNAVAILABLE when its host does not answer; the state stays, and the
   * reconciler of its host tries again.
   */
  async remove(snapshot: SnapshotRecord): Promise<void> {
    await this.#host.requireHost(snapshot.hostId);
    await this.#host.deleteSnapshot(snapshot.id);
    // If the row has changed, another call has finished the same delete.
    await this.#store.markDeleted(snapshot);
  }
}
