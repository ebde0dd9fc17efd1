/**
 * A real Postgres for tests: one server for the whole test process, started
 * when the first test asks for it, and a schema of its own for each suite.
 */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomId } from '../../lib/ids/random-id.js';
import { silentLog } from '../../lib/log/log.js';
import type { PostgresConnection } from '../../lib/postgres/connection.js';
import { EmbeddedPostgres } from '../../lib/postgres/embedded.js';
import { Database } from '../../src/store/database.js';
import { migrate } from '../../src/store/migrate.js';

/** A test's server may lose data in a power failure; it then starts and commits faster. */
const SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };

let started: Promise<PostgresConnection> | undefined;

/** The connection to the tests' server. It lives until the process ends. */
export function testPostgres(): Promise<PostgresConnection> {
  started ??= start();
  return started;
}

export interface TestDatabase {
  connection: PostgresConnection;
  schema: string;
  database: Database;
}

/**
 * Gives a suite a schema of its own, migrated, and drops it afterwards. To be
 * called in `describe`; the result is filled when the first hook or test runs.
 */
export function useDatabase(): TestDatabase {
  const result = { schema: `test_${randomId(12)}` } as TestDatabase;
  before(async function () {
    this.timeout(120_000);
    result.connection = await testPostgres();
    await migrate(result.connection, result.schema);
    result.database = new Database({ connection: result.connection, schema: result.schema });
  });
  after(async () => {
    if (!result.database) return;
    await result.database.query((knex) => knex.raw('drop schema ?? cascade', [result.schema]));
    await result.database.close();
  });
  return result;
}

async function start(): Promise<PostgresConnection> {
  const directory = await mkdtemp(join(tmpdir(), 'wrenn-pg-'));
  const server = await EmbeddedPostgres.start({
    directory: join(directory, 'db'),
    socketDirectory: join(directory, 'run'),
    log: silentLog,
    settings: SETTINGS,
  });
  server.unref();
  process.once('exit', () => {
    // Its children end when they see it gone; what they still write is of no use.
    if (server.pid !== undefined) process.kill(server.pid, 'SIGQUIT');
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  });
  return server.connection;
}
