/** Limits per team. */
import type { Queryable } from './database.js';

/**
 * Makes other transactions that count the same team's rows wait until this one
 * ends, so that a limit holds however many arrive at once.
 */
export async function lockTeam(transaction: Queryable, teamId: string): Promise<void> {
  await transaction('teams').where({ id: teamId }).forUpdate().select('id');
}
