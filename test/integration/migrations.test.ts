import { expect } from 'chai';
import { randomId } from '../../lib/ids/random-id.js';
import { migrationSource } from '../../migrations/index.js';
import { Database, type Queryable } from '../../src/store/database.js';
import { migrate, rollBackMigrations } from '../../src/store/migrate.js';
import { testPostgres } from '../support/postgres.js';

describe('migrations', () => {
  const schema = `test_${randomId(12)}`;
  let database: Database;

  before(async function () {
    this.timeout(120_000);
    database = new Database({ connection: await testPostgres(), schema });
  });
  after(async () => {
    await database.query((knex) => knex.raw('drop schema ?? cascade', [schema]));
    await database.close();
  });

  it('lead from nothing to the latest schema, back to nothing, and there again', async () => {
    const connection = await testPostgres();
    const states: string[][] = [];
    for (const step of [migrate, rollBackMigrations, migrate]) {
      await step(connection, schema);
      states.push(await describeSchema());
    }

    const [first, undone, again] = states;
    expect(first?.some((line) => line.startsWith('sandboxes.metadata jsonb'))).to.equal(true);
    expect(undone).to.deep.equal([]);
    expect(again).to.deep.equal(first);
  });

  it('run once when ten control planes start at the same time', async () => {
    const connection = await testPostgres();
    const crowded = `test_${randomId(12)}`;
    try {
      await Promise.all(Array.from({ length: 10 }, () => migrate(connection, crowded)));
      const applied = await database.query((knex) =>
        knex.withSchema(crowded).from('knex_migrations').pluck('name'),
      );
      expect(applied).to.deep.equal([...new Set(applied)]);
    } finally {
      await database.query((knex) => knex.raw('drop schema ?? cascade', [crowded]));
    }
  });

  it('run again after a starter was killed in the middle of one', async () => {
    const connection = await testPostgres();
    await migrate(connection, schema);
    await database.query((knex) => knex('knex_migrations_lock').update({ is_locked: 1 }));

    await migrate(connection, schema);
  });

  it('keep teams, sandboxes and names when those of snapshots are undone', async () => {
    const connection = await testPostgres();
    const own = `test_${randomId(12)}`;
    const filled = new Database({ connection, schema: own });
    try {
      await migrate(connection, own);
      await filled.query((knex) => fill(knex));
      await filled.query((knex) =>
        knex.migrate.down({ migrationSource, schemaName: own, name: '0003-snapshots' }),
      );
      const states = await filled.query((knex) => knex('sandboxes').orderBy('id').pluck('state'));
      expect(states).to.deep.equal(['LOST', 'RUNNING']);
      const names = await filled.query((knex) => knex('templates').orderBy('name').pluck('name'));
      expect(names).to.deep.equal(['gone1', 'gone2', 'mine', 'minimal']);

      await migrate(connection, own);
      const kept = await filled.query((knex) => knex('sandboxes').pluck('on_timeout'));
      expect(kept).to.deep.equal(['delete', 'delete']);
    } finally {
      await filled.query((knex) => knex.raw('drop schema ?? cascade', [own]));
      await filled.close();
    }
  });

  /** A paused and a running sandbox, and a name that was given three times, one after another. */
  async function fill(knex: Queryable): Promise<void> {
    await knex('teams').insert({ id: 'team', name: 'team' });
    const snapshot = { team_id: 'team', name: 'mine', type: 'snapshot', host_id: 'host' };
    await knex('templates').insert([
      { ...snapshot, id: 'gone1', state: 'DELETED' },
      { ...snapshot, id: 'gone2', state: 'DELETED' },
      { ...snapshot, id: 'here', state: 'READY' },
    ]);
    const sandbox = { team_id: 'team', host_id: 'host', vcpus: 1, memory_mb: 512, timeout_sec: 0 };
    await knex('sandboxes').insert([
      { ...sandbox, id: 'a', template_id: 'here', state: 'PAUSED', paused_at: new Date() },
      { ...sandbox, id: 'b', template_id: 'gone1', state: 'RUNNING', paused_at: null },
    ]);
  }

  /** Every column, index and constraint of the tables that migrations make. */
  async function describeSchema(): Promise<string[]> {
    const { rows } = await database.query((knex) =>
      knex.raw(
        `select format('%s.%s %s null=%s default=%s', table_name, column_name, data_type, is_nullable, column_default) as line
           from information_schema.columns where table_schema = :schema and table_name not like 'knex%'
         union all
         select indexdef from pg_indexes where schemaname = :schema and tablename not like 'knex%'
         union all
         select format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) from pg_constraint
          where connamespace = to_regnamespace(:schema) and conrelid::regclass::text not like '%knex%'
         order by line`,
        { schema },
      ),
    );
    return rows.map(({ line }: { line: string }) => line);
  }
});
