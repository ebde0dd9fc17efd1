/** Templates: names that sandboxes start from, of one team or of all. */
import { randomId } from '../../lib/ids/random-id.js';
import type { Database } from './database.js';

export interface TemplateRecord {
  id: string;
  name: string;
}

export class TemplateStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Finds a template that the team may use; its own goes before one of all teams. */
  async find(teamId: string, name: string): Promise<TemplateRecord | undefined> {
    return this.#database.query((knex) =>
      knex('templates')
        .where({ name })
        .andWhere((either) => void either.where({ team_id: teamId }).orWhereNull('team_id'))
        .orderByRaw('team_id nulls last')
        .first<TemplateRecord | undefined>('id', 'name'),
    );
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
