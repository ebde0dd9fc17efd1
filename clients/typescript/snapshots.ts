import {
  CreateSnapshotRequest,
  ListSnapshotsRequest,
  type ListSnapshotsResponse,
  SnapshotServiceService as Service,
  type Snapshot,
} from '../../gen/ts/wrenn/v1/snapshot.js';
import type { CallOptions, Connection } from './connection.js';
import { eachOfPages, type PageOptions } from './pages.js';

/** A running machine's memory is written to the host's disk, whose speed nobody promises. */
const CREATE_TIMEOUT_MS = 600_000;
const DELETE_TIMEOUT_MS = 60_000;

/**
 * Frozen microVMs under a name; `sandboxes.create({ template: name })` starts
 * one. The client needs an API key.
 */
export class Snapshots {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Freezes a running or paused sandbox and keeps that. A running one goes on
   * afterwards.
   * @param name not in use by the team or the platform; made up by the server when empty.
   */
  create(sandboxId: string, name = '', options?: CallOptions): Promise<Snapshot> {
    const request = CreateSnapshotRequest.fromPartial({ sandboxId, name });
    return this.#connection.call(Service.createSnapshot, request, {
      timeoutMs: CREATE_TIMEOUT_MS,
      ...options,
    });
  }

  get(snapshotId: string, options?: CallOptions): Promise<Snapshot> {
    return this.#connection.call(Service.getSnapshot, { snapshotId }, options);
  }

  /** One page of the team's snapshots and the platform's templates, newest first. */
  listPage(page: PageOptions = {}, options?: CallOptions): Promise<ListSnapshotsResponse> {
    return this.#connection.call(
      Service.listSnapshots,
      ListSnapshotsRequest.fromPartial(page),
      options,
    );
  }

  /** All of them, newest first, fetched page by page. */
  list(options?: CallOptions): AsyncIterable<Snapshot> {
    return eachOfPages(async (pageToken) => {
      const page = await this.listPage({ pageToken }, options);
      return { items: page.snapshots, nextPageToken: page.nextPageToken };
    });
  }

  /** Deletes a snapshot. It is refused while sandboxes that were started from it are there. */
  async delete(snapshotId: string, options?: CallOptions): Promise<void> {
    await this.#connection.call(
      Service.deleteSnapshot,
      { snapshotId },
      { timeoutMs: DELETE_TIMEOUT_MS, ...options },
    );
  }
}
