/**
 * Paused sandboxes and snapshots. A snapshot is a template of one team: what
 * can be started by name stands in one table. Deleted snapshots keep their rows
 * while deleted sandboxes still name them.
 */
import type { Knex } from 'knex';

const SANDBOX_STATES_BEFORE = ['STARTING', 'RUNNING', 'DELETING', 'LOST', 'FAILED', 'DELETED'];
const SANDBOX_STATES = [...SANDBOX_STATES_BEFORE, 'PAUSING', 'PAUSED', 'RESUMING'];

export async function up(knex: Knex): Promise<void> {
  await knex.schema.alterTable('sandboxes', (table) => {
    table.dropChecks('sandboxes_state_check');
    table.check(stateIsOneOf(SANDBOX_STATES), [], 'sandboxes_state_check');
    table
      .text('on_timeout')
      .notNullable()
      .defaultTo('delete')
      .checkIn(['delete', 'pause'], 'sandboxes_on_timeout_check');
    table.specificType('paused_at', 'timestamptz(3)').comment('when it was last paused');
    table.index(['template_id'], 'sandboxes_template');
  });

  await knex.schema.alterTable('templates', (table) => {
    table
      .text('type')
      .notNullable()
      .defaultTo('base')
      .checkIn(['base', 'snapshot'], 'templates_type_check');
    table
      .text('state')
      .notNullable()
      .defaultTo('READY')
      .checkIn(['CREATING', 'READY', 'DELETING', 'DELETED'], 'templates_state_check')
      .comment('only READY is visible; the row of a DELETED one is purged later');
    table.specificType('state_at', 'timestamptz(3)').notNullable().defaultTo(knex.fn.now(3));
    table.integer('version').notNullable().defaultTo(1).comment('plus one at each change of state');
    table.text('host_id').comment('host that has the snapshot; null: a template of the platform');
    table.text('sandbox_id').notNullable().defaultTo('').comment('sandbox that was frozen');
    table.integer('vcpus').notNullable().defaultTo(0).comment('0: can be chosen');
    table.integer('memory_mb').notNullable().defaultTo(0).comment('0: can be chosen');
    table.double('size_bytes').notNullable().defaultTo(0);
    table.dropUnique(['team_id', 'name'], 'templates_team_name');
    table.index(['host_id'], 'templates_unfinished', {
      predicate: knex.whereRaw(`state in ('CREATING', 'DELETING')`),
    });
    table.index(['state_at'], 'templates_purge', { predicate: knex.whereRaw(`state = 'DELETED'`) });
  });
  await knex.schema.alterTable('templates', (table) => {
    table.unique(['team_id', 'name'], {
      indexName: 'templates_team_name',
      predicate: knex.whereRaw(`state <> 'DELETED'`),
    });
  });
}

/** What the tables before cannot say becomes the nearest that they can: paused is LOST, a deleted name is an id. */
export async function down(knex: Knex): Promise<void> {
  await knex('sandboxes')
    .whereIn('state', ['PAUSING', 'PAUSED', 'RESUMING'])
    .update({ state: 'LOST', state_reason: 'SANDBOX_LOST' });
  await knex('templates')
    .where({ state: 'DELETED' })
    .update({ name: knex.ref('id') });

  await knex.schema.alterTable('templates', (table) => {
    const indexes = ['templates_team_name', 'templates_unfinished', 'templates_purge'];
    for (const index of indexes) table.dropIndex([], index);
    table.dropColumns('type', 'state', 'state_at', 'version', 'host_id', 'sandbox_id');
    table.dropColumns('vcpus', 'memory_mb', 'size_bytes');
  });
  await knex.schema.alterTable('templates', (table) => {
    table.unique(['team_id', 'name'], { indexName: 'templates_team_name' });
  });

  await knex.schema.alterTable('sandboxes', (table) => {
    table.dropIndex([], 'sandboxes_template');
    table.dropChecks('sandboxes_state_check');
    table.check(stateIsOneOf(SANDBOX_STATES_BEFORE), [], 'sandboxes_state_check');
    table.dropColumns('on_timeout', 'paused_at');
  });
}

function stateIsOneOf(states: readonly string[]): string {
  return `state in (${states.map((state) => `'${state}'`).join(', ')})`;
}
