/** What the reconciler reads: the sandboxes of all teams on one host, to be compared with what it has. */
import type { Database } from './database.js';
import { type SandboxRecord, selectSandboxes } from './sandbox.js';
import { type SandboxRow, toSandboxRecord } from './sandbox-row.js';

/** Rows that one purge deletes. */
export const PURGE_ROWS_MAX = 1000;

export interface HostSandboxes {
  /** All of the host that are not deleted, and its deleted ones that it still has. */
  sandboxes: SandboxRecord[];
  /** Ids that the host has, but whose rows are another host's: not to be touched for this one. */
  elsewhereIds: ReadonlySet<string>;
  /** Whether any sandbox was ever placed on this host; if not, the database or the host may be the wrong one. */
  anyKnown: boolean;
  /** The database's clock. */
  now: Date;
}

export class HostSandboxStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** @param observedIds sandboxes that the host has; read after the host was asked. */
  async read(hostId: string, observedIds: readonly string[]): Promise<HostSandboxes> {
    return this.#database.query(async (knex) => {
      const rows: SandboxRow[] = await selectSandboxes(knex)
        .where(
          (living) =>
            void living.where('sandboxes.host_id', hostId).whereNot('sandboxes.state', 'DELETED'),
        )
        .orWhereRaw('sandboxes.id = any(?)', [[...observedIds]]);
      const own = rows.filter((row) => row.host_id === hostId);
      const others = rows.filter((row) => row.host_id !== hostId);
      const facts = await knex.raw(
        'select now() as now, exists (select from sandboxes where host_id = ?) as any_known',
        [hostId],
      );
      const { now, any_known: anyKnown } = facts.rows[0];
      const elsewhereIds = new Set(others.map(({ id }) => id));
      return { sandboxes: own.map(toSandboxRecord), elsewhereIds, anyKnown, now };
    });
  }

  /** Deletes rows in the state DELETED that came into it more than `ageSec` ago. */
  async purgeDeleted(ageSec: number): Promise<number> {
    return this.#database.query((knex) =>
      knex('sandboxes')
        .whereIn(
          'id',
          knex('sandboxes')
            .where({ state: 'DELETED' })
            .andWhereRaw('state_at < now() - make_interval(secs => ?)', [ageSec])
            .limit(PURGE_ROWS_MAX)
            .select('id'),
        )
        .delete(),
    );
  }

  /** Runs `work` unless another control plane does for the same host; then resolves undefined. */
  async alone<T>(hostId: string, work: () => Promise<T>): Promise<T | undefined> {
    return this.#database.transaction(async (transaction) => {
      const answer = await transaction.raw(
        'select pg_try_advisory_xact_lock(hashtextextended(?, 0)) as locked',
        [`wrenn reconciler ${this.#database.schema} ${hostId}`],
      );
      return answer.rows[0].locked ? work() : undefined;
    });
  }
}
