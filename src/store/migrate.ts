/** Brings the schema up to date, one control plane at a time. */

import type { PostgresConnection } from '../../lib/postgres/connection.js';
import { migrationSource } from '../../migrations/index.js';
import { Database, type Queryable } from './database.js';

/** Time that a migration, and the wait for another starter's, may take. */
export const MIGRATION_TIMEOUT_MS = 300_000;

/** Makes the schema if needed and runs all migrations that it lacks. */
export async function migrate(connection: PostgresConnection, schema: string): Promise<void> {
  await alone(connection, schema, async (knex) => {
    await knex.migrate.latest({ migrationSource, schemaName: schema });
  });
}

/** Undoes all migrations. The schema stays, empty but for Knex's own tables. */
export async function rollBackMigrations(
  connection: PostgresConnection,
  schema: string,
): Promise<void> {
  await alone(connection, schema, async (knex) => {
    await knex.migrate.rollback({ migrationSource, schemaName: schema }, true);
  });
}

/**
 * Runs `work` under an advisory lock. Knex's own lock is a row that outlives a
 * killed process; under ours it is nobody's and can be freed.
 */
async function alone(
  connection: PostgresConnection,
  schema: string,
  work: (knex: Queryable) => Promise<void>,
): Promise<void> {
  const database = new Database({ connection, schema, statementTimeoutMs: MIGRATION_TIMEOUT_MS });
  try {
    await database.transaction(async (transaction) => {
      await transaction.raw('select pg_advisory_xact_lock(hashtextextended(?, 0))', [
        `wrenn migrations ${schema}`,
      ]);
      await database.query(async (knex) => {
        await knex.raw('create schema if not exists ??', [schema]);
        await knex.migrate.forceFreeMigrationsLock({ migrationSource, schemaName: schema });
        await work(knex);
      });
    });
  } finally {
    await database.close();
  }
}
