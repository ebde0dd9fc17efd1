/** The database of a benchmark's platform, as one would ask it by hand. */
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import { POSTGRES_DATABASE, POSTGRES_USER } from '../lib/postgres/data-directory.js';
import type { BenchPlatform } from './platform.js';

/** A backend tells its numbers at the latest so long after it has become idle. */
const STATISTICS_DELAY_MS = 12_000;
const STATEMENT_TIMEOUT_MS = 120_000;

export class BenchDatabase implements AsyncDisposable {
  readonly #client: pg.Client;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  static async connect({ config }: BenchPlatform): Promise<BenchDatabase> {
    const client = new pg.Client({
      host: join(config.runDirectory, 'postgres'),
      user: POSTGRES_USER,
      database: POSTGRES_DATABASE,
      statement_timeout: STATEMENT_TIMEOUT_MS,
    });
    await client.connect();
    return new BenchDatabase(client);
  }

  async rows<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.#client.query<Row>(text, values)).rows;
  }

  /** The same, parsed and planned once only. */
  async prepared<Row extends pg.QueryResultRow>(
    name: string,
    text: string,
    values: unknown[] = [],
  ): Promise<Row[]> {
    return (await this.#client.query<Row>({ name, text, values })).rows;
  }

  /** Nothing of the database's own runs from here on. */
  async quiet(): Promise<void> {
    await this.rows('alter system set autovacuum = off');
    await this.rows('select pg_reload_conf()');
    await this.rows('vacuum analyze');
    await this.rows('checkpoint');
  }

  /** @returns how many transactions others make while the work is done; each query is one. */
  async countTransactions(work: () => Promise<void>): Promise<number> {
    const before = await this.#transactions();
    await work();
    const after = await this.#transactions();
    // The first look itself was told between the two.
    return after - before - 1;
  }

  async #transactions(): Promise<number> {
    await setTimeout(STATISTICS_DELAY_MS);
    const [row] = await this.rows<{ count: string }>(
      `select xact_commit + xact_rollback as count, pg_stat_force_next_flush()
       from pg_stat_database where datname = current_database()`,
    );
    return Number(row?.count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end();
  }
}
