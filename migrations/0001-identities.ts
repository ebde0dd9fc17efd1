/** Users, teams, who belongs to which team, and the API keys of teams. */
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.schema.createTable('users', (table) => {
    table.text('id').primary();
    table.text('email').notNullable();
    table.text('email_key').notNullable().unique().comment('the address in lower case');
    table.text('name').notNullable();
    table.text('password_hash').notNullable().comment('argon2id in PHC form');
    table.specificType('created_at', 'timestamptz(3)').notNullable().defaultTo(knex.fn.now(3));
  });

  await knex.schema.createTable('teams', (table) => {
    table.text('id').primary();
    table.text('name').notNullable();
    table.specificType('created_at', 'timestamptz(3)').notNullable().defaultTo(knex.fn.now(3));
  });

  await knex.schema.createTable('users_teams', (table) => {
    table.text('user_id').notNullable().references('users.id').onDelete('CASCADE');
    table.text('team_id').notNullable().references('teams.id').onDelete('CASCADE').index();
    table.text('role').notNullable().checkIn(['owner', 'member'], 'users_teams_role_check');
    table.boolean('is_default').notNullable();
    table.specificType('created_at', 'timestamptz(3)').notNullable().defaultTo(knex.fn.now(3));
    table.primary(['user_id', 'team_id']);
    table.unique(['user_id'], {
      indexName: 'users_teams_one_default',
      predicate: knex.whereRaw('is_default'),
    });
  });

  await knex.schema.createTable('team_api_keys', (table) => {
    table.text('id').primary();
    table.text('team_id').notNullable().references('teams.id').onDelete('CASCADE');
    table.text('name').notNullable();
    table.binary('key_hash').notNullable().unique().comment('SHA-256 of the secret');
    table.text('key_prefix').notNullable().comment('first characters of the secret');
    table.text('created_by').references('users.id').onDelete('SET NULL');
    table.specificType('created_at', 'timestamptz(3)').notNullable().defaultTo(knex.fn.now(3));
    table.specificType('last_used', 'timestamptz(3)');
    table.index(['team_id', 'created_at', 'id'], 'team_api_keys_page');
  });
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('team_api_keys');
  await knex.schema.dropTable('users_teams');
  await knex.schema.dropTable('teams');
  await knex.schema.dropTable('users');
}
