/**
 * Templates: names that sandboxes start from. Those of the platform are there
 * for all teams; a team's own are its snapshots (snapshot.ts).
 */
import { Code, WrennError } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import type { Database, Queryable } from './database.js';

export interface TemplateRecord {
  id: string;
  name: string;
  /** What a snapshot has baked in; undefined for a template of the platform. */
  snapshot: { hostId: string; vcpus: number; memoryMb: number } | undefined;
}

interface TemplateRow {
  id: string;
  name: string;
  type: string;
  host_id: string | null;
  vcpus: number;
  memory_mb: number;
}

export class TemplateStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Finds a template that the team may use; its own goes before one of the platform. */
  async find(teamId: string, name: string): Promise<TemplateRecord | undefined> {
    const row = await this.#database.query((knex) =>
      knex('templates')
        .where({ name, state: 'READY' })
        .andWhere((either) => void either.where({ team_id: teamId }).orWhereNull('team_id'))
        .orderByRaw('team_id nulls last')
        .first<TemplateRow | undefined>('*'),
    );
    return row && toTemplateRecord(row);
  }

  /** Makes templates of all teams out of names that a host offers. */
  async addGlobal(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    await this.#database.query((knex) =>
      knex('templates')
        .insert(names.map((name) => ({ id: randomId(), name })))
        .onConflict(knex.raw('(name) where team_id is null'))
        .ignore(),
    );
  }
}

/**
 * Makes deletes of a template wait until this transaction ends.
 * @throws TEMPLATE_NOT_FOUND when it is gone or going.
 */
export async function keepTemplate(transaction: Queryable, id: string): Promise<void> {
  const found = await transaction('templates').where({ id, state: 'READY' }).forShare().first('id');
  if (!found) {
    throw new WrennError(
      Code.NOT_FOUND,
      'TEMPLATE_NOT_FOUND',
      'the template has been deleted meanwhile',
    );
  }
}

function toTemplateRecord(row: TemplateRow): TemplateRecord {
  const { id, name, type, host_id: hostId, vcpus, memory_mb: memoryMb } = row;
  const isSnapshot = type === 'snapshot' && hostId !== null;
  return { id, name, snapshot: isSnapshot ? { hostId, vcpus, memoryMb } : undefined };
}
