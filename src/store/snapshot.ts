/**
 * Snapshots, which stand in one table with the templates of the platform. A
 * change of state is conditional on the version that was read.
 *
 *     CREATING ─▶ READY ─▶ DELETING ─▶ DELETED
 *         └──────────────────▲
 *
 * Only READY is visible. A name is taken until its snapshot is DELETED.
 */
import type { Knex } from 'knex';
import { Code, WrennError } from '../../lib/errors/index.js';
import type { Database, Queryable } from './database.js';
import { breaksUnique } from './errors.js';
import { type Page, type PageRequest, readPage } from './page.js';
import { lockTeam } from './team.js';

/** Rows that one purge deletes. */
export const PURGE_SNAPSHOTS_MAX = 1000;

export type SnapshotState = 'CREATING' | 'READY' | 'DELETING' | 'DELETED';

export interface SnapshotRecord {
  id: string;
  name: string;
  type: 'base' | 'snapshot';
  state: SnapshotState;
  /** When it came into its state. */
  stateAt: Date;
  version: number;
  /** Sandbox that was frozen; empty for a template of the platform. */
  sandboxId: string;
  hostId: string;
  vcpus: number;
  memoryMb: number;
  sizeBytes: number;
  createdAt: Date;
}

export interface NewSnapshot {
  id: string;
  teamId: string;
  name: string;
  hostId: string;
  sandboxId: string;
}

/** What a host made. */
export interface SnapshotContents {
  vcpus: number;
  memoryMb: number;
  sizeBytes: number;
}

interface SnapshotRow {
  id: string;
  name: string;
  type: string;
  state: string;
  state_at: Date;
  version: number;
  sandbox_id: string;
  host_id: string | null;
  vcpus: number;
  memory_mb: number;
  size_bytes: number;
  created_at: Date;
}

export class SnapshotStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Adds a snapshot in state CREATING, and so takes its name.
   * @param limit snapshots that the team may have.
   * @throws SNAPSHOT_LIMIT
   * @throws SNAPSHOT_EXISTS when the team or the platform has the name.
   */
  async create(snapshot: NewSnapshot, limit: number): Promise<SnapshotRecord> {
    const { id, teamId, name, hostId, sandboxId } = snapshot;
    try {
      return await this.#database.transaction(async (transaction) => {
        await lockTeam(transaction, teamId);
        const [found] = await transaction('templates')
          .where({ team_id: teamId })
          .whereNot({ state: 'DELETED' })
          .count('* as count');
        if (Number(found?.count) >= limit) throw snapshotLimit(limit);
        const platforms = await transaction('templates')
          .where({ name })
          .whereNull('team_id')
          .first();
        if (platforms) throw snapshotExists(name);
        const [row] = await transaction('templates')
          .insert({
            ...{ id, team_id: teamId, name, type: 'snapshot', state: 'CREATING' },
            ...{ host_id: hostId, sandbox_id: sandboxId },
          })
          .returning('*');
        return toRecord(row);
      });
    } catch (error) {
      throw breaksUnique(error, 'templates_team_name') ? snapshotExists(name, error) : error;
    }
  }

  /** Finds a snapshot of the team, or a template of the platform. */
  async find(teamId: string, id: string): Promise<SnapshotRecord | undefined> {
    const row = await this.#database.query((knex) =>
      visible(knex, teamId).andWhere({ id }).first<SnapshotRow | undefined>('*'),
    );
    return row && toRecord(row);
  }

  async list(teamId: string, page: PageRequest): Promise<Page<SnapshotRecord>> {
    return this.#database.query((knex) =>
      readPage(visible(knex, teamId).select('*'), page, toRecord),
    );
  }

  /** Makes a snapshot visible. @returns undefined when it has changed meanwhile. */
  async finish(
    snapshot: SnapshotRecord,
    { vcpus, memoryMb, sizeBytes }: SnapshotContents,
  ): Promise<SnapshotRecord | undefined> {
    const contents = { vcpus, memory_mb: memoryMb, size_bytes: sizeBytes };
    return this.#change(snapshot, { state: 'READY', ...contents });
  }

  /** Gives up a snapshot that never became visible. @returns undefined when it has changed meanwhile. */
  async giveUp(snapshot: SnapshotRecord): Promise<SnapshotRecord | undefined> {
    return this.#change(snapshot, { state: 'DELETING' });
  }

  /** Frees the name of a snapshot that the host no longer has. */
  async markDeleted(snapshot: SnapshotRecord): Promise<void> {
    await this.#change(snapshot, { state: 'DELETED' });
  }

  /**
   * Lets nobody start from a snapshot any more. What is going already stays so.
   * @returns undefined when the team has no such snapshot.
   * @throws SNAPSHOT_IN_USE
   */
  async markDeleting(teamId: string, id: string): Promise<SnapshotRecord | undefined> {
    return this.#database.transaction(async (transaction) => {
      const row: SnapshotRow | undefined = await transaction('templates')
        .where({ id, team_id: teamId })
        .whereIn('state', ['READY', 'DELETING'])
        .forUpdate()
        .first('*');
      if (!row || row.state === 'DELETING') return row && toRecord(row);
      const [found] = await transaction('sandboxes')
        .where({ template_id: id })
        .whereNot({ state: 'DELETED' })
        .count('* as count');
      if (Number(found?.count) > 0) throw snapshotInUse(id, Number(found?.count));
      const [changed] = await change(transaction, row, { state: 'DELETING' });
      return toRecord(changed as SnapshotRow);
    });
  }

  /** Snapshots on a host that are neither ready nor gone, and the database's clock. */
  async unfinished(hostId: string): Promise<{ snapshots: SnapshotRecord[]; now: Date }> {
    return this.#database.query(async (knex) => {
      const rows: SnapshotRow[] = await knex('templates')
        .where({ host_id: hostId })
        .whereIn('state', ['CREATING', 'DELETING'])
        .select('*');
      const clock = await knex.raw('select now() as now');
      return { snapshots: rows.map(toRecord), now: clock.rows[0].now };
    });
  }

  /** Deletes rows that were deleted more than `ageSec` ago and that no row of a sandbox names. */
  async purgeDeleted(ageSec: number): Promise<void> {
    await this.#database.query((knex) =>
      knex('templates')
        .whereIn(
          'id',
          knex('templates')
            .where({ state: 'DELETED' })
            .andWhereRaw('state_at < now() - make_interval(secs => ?)', [ageSec])
            .whereNotExists(
              knex('sandboxes').select('id').whereRaw('sandboxes.template_id = templates.id'),
            )
            .limit(PURGE_SNAPSHOTS_MAX)
            .select('id'),
        )
        .delete(),
    );
  }

  async #change(
    snapshot: SnapshotRecord,
    columns: { state: SnapshotState },
  ): Promise<SnapshotRecord | undefined> {
    const [row] = await this.#database.query((knex) => change(knex, snapshot, columns));
    return row && toRecord(row);
  }
}

function change(
  knex: Queryable,
  { id, version }: { id: string; version: number },
  columns: { state: SnapshotState },
): Knex.QueryBuilder<SnapshotRow, SnapshotRow[]> {
  return knex('templates')
    .where({ id, version, type: 'snapshot' })
    .update({ ...columns, version: version + 1, state_at: knex.fn.now(3) })
    .returning('*');
}

function visible(knex: Queryable, teamId: string) {
  return knex('templates')
    .where({ state: 'READY' })
    .andWhere((either) => void either.where({ team_id: teamId }).orWhereNull('team_id'));
}

function toRecord(row: SnapshotRow): SnapshotRecord {
  return {
    id: row.id,
    name: row.name,
    type: row.type === 'snapshot' ? 'snapshot' : 'base',
    state: row.state as SnapshotState,
    stateAt: row.state_at,
    version: row.version,
    sandboxId: row.sandbox_id,
    hostId: row.host_id ?? '',
    vcpus: row.vcpus,
    memoryMb: row.memory_mb,
    sizeBytes: row.size_bytes,
    createdAt: row.created_at,
  };
}

function snapshotLimit(limit: number): WrennError {
  return new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'SNAPSHOT_LIMIT',
    `the team has ${limit} snapshots already; delete one first`,
    { metadata: { limit: String(limit) } },
  );
}

function snapshotExists(name: string, cause?: unknown): WrennError {
  return new WrennError(
    Code.ALREADY_EXISTS,
    'SNAPSHOT_EXISTS',
    'the team, or the platform, has a template of this name already',
    { metadata: { name }, cause },
  );
}

function snapshotInUse(snapshotId: string, sandboxes: number): WrennError {
  return new WrennError(
    Code.FAILED_PRECONDITION,
    'SNAPSHOT_IN_USE',
    `${sandboxes} sandboxes that were started from the snapshot are still there`,
    { metadata: { snapshot_id: snapshotId, sandboxes: String(sandboxes) } },
  );
}
