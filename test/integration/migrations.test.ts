import { expect } from 'chai';
import { randomId } from '../../lib/ids/random-id.js';
import { Database } from '../../src/store/database.js';
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
