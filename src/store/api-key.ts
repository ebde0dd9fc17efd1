/** API keys of teams; only the hash of a secret is stored. */
import { Code, WrennError } from '../../lib/errors/index.js';
import type { Database } from './database.js';
import { type Page, type PageRequest, readPage } from './page.js';
import { lockTeam } from './team.js';

/** API keys that a team may have. */
export const TEAM_API_KEYS_MAX = 100;

export interface ApiKeyRecord {
  id: string;
  teamId: string;
  name: string;
  keyPrefix: string;
  createdAt: Date;
  /** To the minute; undefined when it was never used. */
  lastUsed: Date | undefined;
}

export interface NewApiKey {
  id: string;
  teamId: string;
  name: string;
  keyHash: Buffer;
  keyPrefix: string;
  /** Id of the user who made it. */
  createdBy: string;
}

interface ApiKeyRow {
  id: string;
  team_id: string;
  name: string;
  key_hash: Buffer;
  key_prefix: string;
  created_at: Date;
  last_used: Date | null;
}

export class ApiKeyStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** @throws API_KEY_LIMIT */
  async create(key: NewApiKey): Promise<ApiKeyRecord> {
    return this.#database.transaction(async (transaction) => {
      await lockTeam(transaction, key.teamId);
      const [found] = await transaction('team_api_keys')
        .where({ team_id: key.teamId })
        .count('* as count');
      if (Number(found?.count) >= TEAM_API_KEYS_MAX) throw apiKeyLimit();
      const [row] = await transaction<ApiKeyRow>('team_api_keys')
        .insert({
          id: key.id,
          team_id: key.teamId,
          name: key.name,
          key_hash: key.keyHash,
          key_prefix: key.keyPrefix,
          created_by: key.createdBy,
        } as Partial<ApiKeyRow>)
        .returning('*');
      return toRecord(row as ApiKeyRow);
    });
  }

  async list(teamId: string, page: PageRequest): Promise<Page<ApiKeyRecord>> {
    return this.#database.query((knex) =>
      readPage(knex('team_api_keys').where({ team_id: teamId }).select('*'), page, toRecord),
    );
  }

  /** Deletes a key and returns the hash of its secret, or undefined when the team has no such key. */
  async delete(teamId: string, id: string): Promise<Buffer | undefined> {
    const [row] = await this.#database.query((knex) =>
      knex<ApiKeyRow>('team_api_keys')
        .where({ team_id: teamId, id })
        .delete()
        .returning('key_hash'),
    );
    return row?.key_hash;
  }

  /** Finds whose secret has this hash. */
  async findByHash(keyHash: Buffer): Promise<ApiKeyRecord | undefined> {
    const row = await this.#database.query((knex) =>
      knex<ApiKeyRow>('team_api_keys').where({ key_hash: keyHash }).first(),
    );
    return row && toRecord(row);
  }

  /** Those of the keys with these ids that there still are. */
  async existing(ids: string[]): Promise<string[]> {
    if (ids.length === 0) return [];
    const rows = await this.#database.query((knex) =>
      knex<ApiKeyRow>('team_api_keys').whereIn('id', ids).select('id'),
    );
    return rows.map(({ id }) => id);
  }

  /** Notes the current minute as time of the last use. */
  async markUsed(id: string): Promise<void> {
    await this.#database.query((knex) =>
      knex('team_api_keys')
        .where({ id })
        .update({ last_used: knex.raw(`date_trunc('minute', now())`) }),
    );
  }
}

function toRecord(row: ApiKeyRow): ApiKeyRecord {
  return {
    id: row.id,
    teamId: row.team_id,
    name: row.name,
    keyPrefix: row.key_prefix,
    createdAt: row.created_at,
    lastUsed: row.last_used ?? undefined,
  };
}

function apiKeyLimit(): WrennError {
  return new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'API_KEY_LIMIT',
    `the team has ${TEAM_API_KEYS_MAX} API keys already; delete one first`,
    { metadata: { limit: String(TEAM_API_KEYS_MAX) } },
  );
}
