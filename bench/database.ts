/** The database of a benchmark's platform, as one would ask it by hand. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import { retry } from '../lib/lifecycle/delay.js';
import { POSTGRES_DATABASE, POSTGRES_USER } from '../lib/postgres/data-directory.js';
import type { BenchPlatform } from './platform.js';

/** In the log, of a statement with parameters and of one without. */
const STATEMENT = /LOG: {2}(?:execute|statement)/;
/** The log is written by another process, a moment later. */
const APPEAR = { timeoutMs: 10_000, pauseMs: 50, pauseMsMax: 500 };
const RELOAD_MS = 1000;
const STATEMENT_TIMEOUT_MS = 120_000;

export class BenchDatabase implements AsyncDisposable {
  readonly #client: pg.Client;
  readonly #logPath: string;

  private constructor(client: pg.Client, logPath: string) {
    this.#client = client;
    this.#logPath = logPath;
  }

  static async connect({ config }: BenchPlatform): Promise<BenchDatabase> {
    const client = new pg.Client({
      host: join(config.runDirectory, 'postgres'),
      user: POSTGRES_USER,
      database: POSTGRES_DATABASE,
      statement_timeout: STATEMENT_TIMEOUT_MS,
    });
    await client.connect();
    return new BenchDatabase(client, join(config.stateDirectory, 'logs', 'postgres.log'));
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

  /** @returns the statements that the platform makes while the work is done, as the log has them. */
  async statementsDuring(work: () => Promise<void>): Promise<string[]> {
    await this.#logStatements('all');
    await this.#mark('begin');
    await work();
    await this.#mark('end');
    await this.#logStatements('none');
    return await retry(() => this.#loggedStatements(), APPEAR);
  }

  async #logStatements(which: 'all' | 'none'): Promise<void> {
    await this.rows(`alter system set log_statement = '${which}'`);
    await this.rows('select pg_reload_conf()');
    // Every process of the server reads it when it is told so.
    await setTimeout(RELOAD_MS);
  }

  async #mark(name: string): Promise<void> {
    await this.rows(`select '${markOf(name)}'`);
  }

  async #loggedStatements(): Promise<string[]> {
    const text = await readFile(this.#logPath, 'utf8');
    const lines = text.split('\n').filter((line) => STATEMENT.test(line));
    const [begin, end] = ['begin', 'end'].map((name) =>
      lines.findIndex((line) => line.includes(markOf(name))),
    );
    if (begin === undefined || end === undefined || begin < 0 || end < 0) {
      throw new Error('the log of the database is not complete');
    }
    return lines.slice(begin + 1, end);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end();
  }
}

function markOf(name: string): string {
  return `the ${name} of what is counted`;
}
