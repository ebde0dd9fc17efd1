/**
 * Templates and sandboxes. Environment variables of a sandbox are secrets of
 * its owner and stand in no table: they go from the request to the host agent,
 * which alone needs them.
 */
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.schema.createTable('templates', (table) => {
    table.text('id').primary();
    table.text('team_id').references('teams.id').onDelete('CASCADE').comment('null: of all teams');
    table.text('name').notNullable();
    table.specificType('created_at', 'timestamptz(3)').notNullable().defaultTo(knex.fn.now(3));
    table.unique(['name'], {
      indexName: 'templates_global_name',
      predicate: knex.whereNull('team_id'),
    });
    table.unique(['team_id', 'name'], { indexName: 'templates_team_name' });
  });

  await knex.schema.createTable('sandboxes', (table) => {
    table.text('id').primary();
    table.text('team_id').notNullable().references('teams.id');
    table.text('template_id').notNullable().references('templates.id');
    table.text('host_id').notNullable();
    table
      .text('state')
      .notNullable()
      .checkIn(
        ['STARTING', 'RUNNING', 'DELETING', 'LOST', 'FAILED', 'DELETED'],
        'sandboxes_state_check',
      )
      .comment('DELETED is final and hidden; the row is purged later');
    table.text('state_reason').comment('error reason of LOST, FAILED and DELETED');
    table.integer('version').notNullable().defaultTo(1).comment('plus one at each change of state');
    table.integer('generation').notNullable().defaultTo(1).comment('fences commands to the agent');
    table.integer('vcpus').notNullable();
    table.integer('memory_mb').notNullable();
    table.integer('timeout_sec').notNullable();
    table.jsonb('metadata').notNullable().defaultTo('{}');
    table.text('guest_ip').notNullable().defaultTo('');
    table.text('host_ip').notNullable().defaultTo('');
    table.specificType('created_at', 'timestamptz(3)').notNullable().defaultTo(knex.fn.now(3));
    table.specificType('state_at', 'timestamptz(3)').notNullable().defaultTo(knex.fn.now(3));
    table.specificType('started_at', 'timestamptz(3)');
    table.specificType('last_active_at', 'timestamptz(3)').notNullable().defaultTo(knex.fn.now(3));
    table.index(['team_id', 'created_at', 'id'], 'sandboxes_page', {
      predicate: knex.whereRaw(`state <> 'DELETED'`),
    });
    table.index(['host_id'], 'sandboxes_host');
    table.index(['state_at'], 'sandboxes_purge', { predicate: knex.whereRaw(`state = 'DELETED'`) });
  });

  await knex('templates').insert({ id: 'minimal', name: 'minimal' });
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('sandboxes');
  await knex.schema.dropTable('templates');
}
