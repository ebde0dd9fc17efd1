/** Brings the schema up to date, one control plane at a time. */

import { Code, WrennError } from '../../lib/errors/index.js';
import type { PostgresConnection } from '../../lib/postgres/connection.js';
import { migrationSource } from '../../migrations/index.js';
import { Database, type Queryable } from './database.js';

/** Time that a migration, and the wait for another starter's, may take. */
export const MIGRATION_TIMEOUT_MS = 300_000;

/** SQLSTATEs of a server that refuses us: who we are (28), the database (3D), a privilege we lack. */
const REFUSED_STATES = /^(?:28...|3D...|42501)$/;

/**
 * Makes the schema if needed and runs all migrations that it lacks.
 * @throws DATABASE_UNAVAILABLE when the server does not answer, HOST_REQUIREMENT when it refuses us.
 */
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
  } catch (error) {
    throw isRefusal(error) ? refused(error) : error;
  } finally {
    await database.close();
  }
}

function isRefusal(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && REFUSED_STATES.test(code);
}

function refused(cause: unknown): WrennError {
  return new WrennError(
    Code.FAILED_PRECONDITION,
    'HOST_REQUIREMENT',
    'the database refuses: check user, password, database and privileges of DATABASE_URL',
    { cause, metadata: { setting: 'DATABASE_URL' } },
  );
}
