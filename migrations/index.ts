/**
 * The schema's history: append-only, each step imported by name so that a
 * bundler and a reader see all of them. A released migration is never edited.
 *
 * Times are timestamptz(3): a JavaScript Date holds milliseconds, so what is
 * read back equals what is stored, and a page token is exact.
 */
import type { Knex } from 'knex';
import * as identities from './0001-identities.js';
import * as sandboxes from './0002-sandboxes.js';
import * as snapshots from './0003-snapshots.js';

interface Step {
  name: string;
  up(knex: Knex): Promise<void>;
  down(knex: Knex): Promise<void>;
}

const STEPS: readonly Step[] = [
  { name: '0001-identities', ...identities },
  { name: '0002-sandboxes', ...sandboxes },
  { name: '0003-snapshots', ...snapshots },
];

/** For Knex. */
export const migrationSource: Knex.MigrationSource<Step> = {
  getMigrations: async () => [...STEPS],
  getMigrationName: (step) => step.name,
  getMigration: async (step) => step,
};
