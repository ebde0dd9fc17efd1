/**
 * Sandboxes. A change of state is conditional on the version that was read;
 * who loses the race gets undefined and decides anew.
 *
 *     STARTING ─▶ RUNNING ─▶ DELETING ─▶ DELETED
 *         └─▶ FAILED ◀──┤        ▲
 *                       └▶ LOST ─┘   (FAILED and LOST stay until deleted)
 *
 * DELETED is final and hidden from everybody; such a row is kept for a while,
 * so that what a host still has of it is known to be nobody's.
 */
import type { Knex } from 'knex';
import { Code, type Reason, WrennError } from '../../lib/errors/index.js';
import type { Database, Queryable } from './database.js';
import { type Page, type PageRequest, readPage } from './page.js';
import { type SandboxRow, toSandboxRecord } from './sandbox-row.js';
import { lockTeam } from './team.js';

/** Pause between two updates of `last_active_at`. */
export const ACTIVITY_RESOLUTION_SEC = 10;

export type SandboxState = 'STARTING' | 'RUNNING' | 'DELETING' | 'LOST' | 'FAILED' | 'DELETED';

export interface SandboxRecord {
  id: string;
  teamId: string;
  template: string;
  hostId: string;
  state: SandboxState;
  stateReason: Reason | undefined;
  version: number;
  generation: number;
  vcpus: number;
  memoryMb: number;
  timeoutSec: number;
  metadata: Record<string, string>;
  guestIp: string;
  hostIp: string;
  createdAt: Date;
  /** When it came into its state. */
  stateAt: Date;
  startedAt: Date | undefined;
  lastActiveAt: Date;
}

export interface NewSandbox {
  id: string;
  teamId: string;
  templateId: string;
  hostId: string;
  vcpus: number;
  memoryMb: number;
  timeoutSec: number;
  metadata: Record<string, string>;
}

/** What becomes of a sandbox. */
export type SandboxChange =
  | { state: 'RUNNING'; guestIp: string; hostIp: string; startedAt: Date }
  | { state: 'DELETING' }
  | { state: 'LOST' | 'FAILED' | 'DELETED'; stateReason?: Reason | undefined };

export class SandboxStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Adds a sandbox in state STARTING.
   * @param limit sandboxes that the team may have, whatever their state.
   * @throws SANDBOX_LIMIT
   */
  async create(sandbox: NewSandbox, limit: number): Promise<SandboxRecord> {
    return this.#database.transaction(async (transaction) => {
      await lockTeam(transaction, sandbox.teamId);
      const [found] = await transaction('sandboxes')
        .where({ team_id: sandbox.teamId })
        .whereNot({ state: 'DELETED' })
        .count('* as count');
      if (Number(found?.count) >= limit) throw sandboxLimit(limit);
      const inserted = transaction('sandboxes')
        .insert({
          id: sandbox.id,
          team_id: sandbox.teamId,
          template_id: sandbox.templateId,
          host_id: sandbox.hostId,
          state: 'STARTING',
          vcpus: sandbox.vcpus,
          memory_mb: sandbox.memoryMb,
          timeout_sec: sandbox.timeoutSec,
          metadata: JSON.stringify(sandbox.metadata),
        })
        .returning('*');
      const [row] = await withTemplate(transaction, inserted);
      return toSandboxRecord(row as SandboxRow);
    });
  }

  async find(teamId: string, id: string): Promise<SandboxRecord | undefined> {
    const row = await this.#database.query((knex) =>
      visible(knex, teamId).where('sandboxes.id', id).first<SandboxRow | undefined>(),
    );
    return row && toSandboxRecord(row);
  }

  async list(teamId: string, page: PageRequest): Promise<Page<SandboxRecord>> {
    return this.#database.query((knex) =>
      readPage(knex.select('*').from(visible(knex, teamId).as('page')), page, toSandboxRecord),
    );
  }

  /**
   * Changes the state of the version that was read.
   * @returns the new record, or undefined when the sandbox has changed meanwhile.
   */
  async change(
    { id, teamId, version }: SandboxRecord,
    change: SandboxChange,
  ): Promise<SandboxRecord | undefined> {
    const [row] = await this.#database.query((knex) => {
      const changed = knex('sandboxes')
        .where({ id, team_id: teamId, version })
        .whereNot({ state: 'DELETED' })
        .update({
          ...toColumns(change, knex),
          version: version + 1,
          state_at: knex.fn.now(3),
        })
        .returning('*');
      return withTemplate(knex, changed);
    });
    return row && toSandboxRecord(row);
  }

  /** Notes that a sandbox is in use, at most every few seconds. It is no change of state. */
  async markActive(teamId: string, id: string): Promise<void> {
    await this.#database.query((knex) =>
      knex('sandboxes')
        .where({ team_id: teamId, id })
        .andWhereRaw('last_active_at < now() - make_interval(secs => ?)', [ACTIVITY_RESOLUTION_SEC])
        .update({ last_active_at: knex.fn.now(3) }),
    );
  }
}

/** Sandboxes with the names of their templates. */
export function selectSandboxes(knex: Queryable) {
  return knex('sandboxes')
    .join('templates', 'templates.id', 'sandboxes.template_id')
    .select('sandboxes.*', 'templates.name as template');
}

/** The rows that a statement returns, with the names of their templates. */
function withTemplate(knex: Queryable, statement: Knex.QueryBuilder): Knex.QueryBuilder {
  return knex
    .with('written', statement)
    .select<SandboxRow[]>('written.*', 'templates.name as template')
    .from('written')
    .join('templates', 'templates.id', 'written.template_id');
}

function visible(knex: Queryable, teamId: string) {
  return selectSandboxes(knex)
    .where('sandboxes.team_id', teamId)
    .whereNot('sandboxes.state', 'DELETED');
}

function toColumns(change: SandboxChange, knex: Queryable): Record<string, unknown> {
  switch (change.state) {
    case 'RUNNING':
      return {
        state: change.state,
        state_reason: null,
        guest_ip: change.guestIp,
        host_ip: change.hostIp,
        started_at: change.startedAt,
        last_active_at: knex.fn.now(3),
      };
    case 'DELETING':
      return { state: change.state, state_reason: null };
    default:
      return { state: change.state, state_reason: change.stateReason ?? null };
  }
}

function sandboxLimit(limit: number): WrennError {
  return new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'SANDBOX_LIMIT',
    `the team has ${limit} sandboxes already; delete one first`,
    { metadata: { limit: String(limit) } },
  );
}
