/**
 * The connection to Postgres. Stores run their queries through it, so that a
 * database that does not answer is always UNAVAILABLE/DATABASE_UNAVAILABLE.
 */
import createKnex, { type Knex } from 'knex';
import type { PostgresConnection } from '../../lib/postgres/connection.js';
import { toStoreError } from './errors.js';

/** Connections of one control plane. */
export const POOL_SIZE_MAX = 16;
/** Time to wait for a connection, a free one or a new one. */
export const ACQUIRE_TIMEOUT_MS = 10_000;
export const CONNECT_TIMEOUT_MS = 5000;
/** Time after which the server gives a statement up. */
export const STATEMENT_TIMEOUT_MS = 15_000;
/** Time after which we give the server up: longer, so that its own answer comes first. */
const ANSWER_TIMEOUT_MARGIN_MS = 5000;
const IDLE_IN_TRANSACTION_MARGIN_MS = 60_000;

/** What Knex would print also rejects; it is logged once, at the boundary. */
const SILENT = {
  debug: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  deprecate: () => undefined,
};

export interface DatabaseOptions {
  connection: PostgresConnection;
  /** Schema that holds the tables. */
  schema: string;
  statementTimeoutMs?: number;
}

/** A connection or a transaction on one. */
export type Queryable = Knex;

export class Database {
  readonly schema: string;
  readonly #knex: Knex;

  constructor({ connection, schema, statementTimeoutMs = STATEMENT_TIMEOUT_MS }: DatabaseOptions) {
    this.schema = schema;
    this.#knex = createKnex({
      client: 'pg',
      connection: {
        ...connection,
        application_name: 'wrenn',
        keepAlive: true,
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        statement_timeout: statementTimeoutMs,
        query_timeout: statementTimeoutMs + ANSWER_TIMEOUT_MARGIN_MS,
        idle_in_transaction_session_timeout: statementTimeoutMs + IDLE_IN_TRANSACTION_MARGIN_MS,
      },
      searchPath: [schema],
      acquireConnectionTimeout: ACQUIRE_TIMEOUT_MS,
      // No idle connection is kept for ever: after a restart of the server it would be dead.
      pool: { min: 0, max: POOL_SIZE_MAX },
      log: SILENT,
    });
  }

  /** Runs queries, each in a transaction of its own. */
  async query<T>(work: (knex: Queryable) => PromiseLike<T>): Promise<T> {
    try {
      return await work(this.#knex);
    } catch (error) {
      throw toStoreError(error);
    }
  }

  /** Runs queries in one transaction, which is rolled back when `work` rejects. */
  async transaction<T>(work: (transaction: Queryable) => Promise<T>): Promise<T> {
    return this.query((knex) => knex.transaction(work));
  }

  /** Whether the database answers. */
  async isReachable(): Promise<boolean> {
    try {
      await this.query((knex) => knex.raw('select 1'));
      return true;
    } catch {
      return false;
    }
  }

  async close(): Promise<void> {
    await this.#knex.destroy();
  }
}
