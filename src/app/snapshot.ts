/**
 * Snapshots: a row in state CREATING takes the name, the host freezes the
 * sandbox, the row is READY. A caller who goes away finds it in the list.
 *
 *     the host refused, or did not answer   row and snapshot go away, the name is free again
 *     this process died                     the reconciler gives it up
 *     deleted while a sandbox is created    the first of them wins: the template's row is locked
 */
import { randomId } from '../../lib/ids/random-id.js';
import type { Log } from '../../lib/log/log.js';
import type { HostAgent } from '../hosts/host-agent.js';
import type { Page, PageRequest } from '../store/page.js';
import type { SandboxRecord, SandboxStore } from '../store/sandbox.js';
import type { SnapshotRecord, SnapshotStore } from '../store/snapshot.js';
import type { Background } from './background.js';
import type { InFlight } from './in-flight.js';
import { sandboxNotFound, snapshotNotFound, wrongState } from './sandbox-errors.js';
import { snapshotName } from './snapshot-name.js';
import type { SnapshotRemover } from './snapshot-remover.js';

export interface SnapshotParts {
  snapshots: SnapshotStore;
  sandboxes: SandboxStore;
  host: HostAgent;
  remover: SnapshotRemover;
  inFlight: InFlight;
  background: Background;
  log: Log;
  /** Snapshots that a team may have. */
  teamSnapshotsMax: number;
}

export class SnapshotOperations {
  readonly #parts: SnapshotParts;

  constructor(parts: SnapshotParts) {
    this.#parts = parts;
  }

  /**
   * Freezes a sandbox and keeps that under a name; resolves when it can be started from.
   * @param name made up when empty.
   * @throws SANDBOX_NOT_FOUND, SNAPSHOT_EXISTS, SNAPSHOT_LIMIT, HOST_UNAVAILABLE, PAUSE_FAILED, HOST_DISK_FULL
   * @throws SANDBOX_STATE unless the sandbox is RUNNING or PAUSED.
   */
  async create(teamId: string, sandboxId: string, name: string): Promise<SnapshotRecord> {
    const { host, snapshots, inFlight, background, teamSnapshotsMax } = this.#parts;
    const { hostId } = await this.#findSandbox(teamId, sandboxId);
    await host.requireHost(hostId);
    const id = randomId();
    const planned = { id, teamId, name: name || snapshotName(), hostId, sandboxId };
    // Held before the row exists, so that the reconciler never sees it unattended.
    return background.track(
      inFlight.hold(id, async () =>
        this.#freeze(teamId, await snapshots.create(planned, teamSnapshotsMax)),
      ),
    );
  }

  /** @throws SNAPSHOT_NOT_FOUND, also for another team's snapshot. */
  async get(teamId: string, snapshotId: string): Promise<SnapshotRecord> {
    const snapshot = await this.#parts.snapshots.find(teamId, snapshotId);
    if (!snapshot) throw snapshotNotFound(snapshotId);
    return snapshot;
  }

  /** The team's snapshots and the templates of the platform, newest first. */
  async list(teamId: string, page: PageRequest): Promise<Page<SnapshotRecord>> {
    return this.#parts.snapshots.list(teamId, page);
  }

  /**
   * Deletes a snapshot; it goes on when the caller goes away.
   * @throws SNAPSHOT_NOT_FOUND, also for templates of the platform.
   * @throws SNAPSHOT_IN_USE while sandboxes that were started from it are there.
   * @throws HOST_UNAVAILABLE: nobody can start from it any more, and it will be gone when the host is back.
   */
  async delete(teamId: string, snapshotId: string): Promise<void> {
    const { snapshots, remover, inFlight, background } = this.#parts;
    await background.track(
      inFlight.hold(snapshotId, async () => {
        const deleting = await snapshots.markDeleting(teamId, snapshotId);
        if (!deleting) throw snapshotNotFound(snapshotId);
        await remover.remove(deleting);
      }),
    );
  }

  async #findSandbox(teamId: string, sandboxId: string): Promise<SandboxRecord> {
    const sandbox = await this.#parts.sandboxes.find(teamId, sandboxId);
    if (!sandbox) throw sandboxNotFound(sandboxId);
    if (sandbox.state !== 'RUNNING' && sandbox.state !== 'PAUSED') {
      throw wrongState(sandbox, 'RUNNING', 'PAUSED');
    }
    return sandbox;
  }

  async #freeze(teamId: string, snapshot: SnapshotRecord): Promise<SnapshotRecord> {
    const { host, snapshots } = this.#parts;
    const { id: snapshotId, sandboxId, name } = snapshot;
    try {
      const frozen = await host.createSnapshot({ sandboxId, snapshotId, name });
      return (await snapshots.finish(snapshot, frozen)) ?? (await this.get(teamId, snapshotId));
    } catch (error) {
      await this.#clearAway(snapshot);
      throw error;
    }
  }

  /** What fails here the reconciler does again. */
  async #clearAway(snapshot: SnapshotRecord): Promise<void> {
    const { snapshots, remover, log } = this.#parts;
    try {
      const deleting = await snapshots.giveUp(snapshot);
      if (deleting) await remover.remove(deleting);
    } catch (error) {
      log.warn('failed snapshot not cleared away yet', { snapshot_id: snapshot.id, error });
    }
  }
}
