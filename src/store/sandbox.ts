/**
 * Sandboxes. A change of state is conditional on the version that was read;
 * who loses the race gets undefined and decides anew.
 *
 *                 ┌─▶ PAUSING ──▶ PAUSED ─┐   (back to RUNNING when a pause failed,
 *     STARTING ─▶ RUNNING ◀─ RESUMING ◀───┘    to PAUSED when a resume did)
 *         │        │ └─▶ LOST                 (FAILED and LOST stay until deleted)
 *         └────────┴───▶ FAILED
 *
 *     any ─▶ DELETING ─▶ DELETED
 *
 * DELETED is final and hidden from everybody; such a row is kept for a while,
 * so that what a host still has of it is known to be nobody's.
 *
 * The generation fences commands to the host: it grows when a row enters
 * PAUSING, RESUMING or DELETING, and goes with the command.
 */
import type { Knex } from 'knex';
import { Code, type Reason, WrennError } from '../../lib/errors/index.js';
import type { Database, Queryable } from './database.js';
import { type Page, type PageRequest, readPage } from './page.js';
import { type SandboxRow, toSandboxRecord } from './sandbox-row.js';
import { lockTeam } from './team.js';
import { keepTemplate } from './template.js';

/** Pause between two updates of `last_active_at`. */
export const ACTIVITY_RESOLUTION_SEC = 10;

export type SandboxState =
  | 'STARTING'
  | 'RUNNING'
  | 'PAUSING'
  | 'PAUSED'
  | 'RESUMING'
  | 'DELETING'
  | 'LOST'
  | 'FAILED'
  | 'DELETED';

/** What happens when the inactivity timeout passes. */
export type TimeoutAction = 'delete' | 'pause';

export interface SandboxRecord {
  id: string;
  teamId: string;
  templateId: string;
  /** Name of the template. */
  template: string;
  hostId: string;
  state: SandboxState;
  stateReason: Reason | undefined;
  version: number;
  generation: number;
  vcpus: number;
  memoryMb: number;
  timeoutSec: number;
  onTimeout: TimeoutAction;
  metadata: Record<string, string>;
  guestIp: string;
  hostIp: string;
  createdAt: Date;
  /** When it came into its state. */
  stateAt: Date;
  startedAt: Date | undefined;
  lastActiveAt: Date;
  /** When it was last paused. */
  pausedAt: Date | undefined;
}

export interface NewSandbox {
  id: string;
  teamId: string;
  templateId: string;
  hostId: string;
  vcpus: number;
  memoryMb: number;
  timeoutSec: number;
  onTimeout: TimeoutAction;
  metadata: Record<string, string>;
}

/** What becomes of a sandbox. */
export type SandboxChange =
  | {
      state: 'RUNNING';
      guestIp: string;
      hostIp: string;
      /** Noted when none is yet. */
      startedAt: Date;
      /** DISK_FULL while the guest waits for room on the host's disk. */
      stateReason?: Reason | undefined;
    }
  | { state: 'PAUSING' | 'RESUMING' | 'DELETING' }
  | { state: 'PAUSED'; pausedAt: Date; stateReason?: Reason | undefined }
  | { state: 'LOST' | 'FAILED' | 'DELETED'; stateReason?: Reason | undefined };

/** What the sandboxes of a list have. */
export interface SandboxFilter {
  /** One of these; any when empty. */
  states?: readonly SandboxState[];
  /** All of these. */
  metadata?: Readonly<Record<string, string>>;
}

export class SandboxStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Adds sandboxes of one team and template in state STARTING: all or none.
   * @param limit sandboxes that the team may have, whatever their state.
   * @throws SANDBOX_LIMIT
   * @throws TEMPLATE_NOT_FOUND when the template has been deleted meanwhile; once the rows are
   * there it cannot be.
   */
  async create(sandboxes: readonly NewSandbox[], limit: number): Promise<SandboxRecord[]> {
    const [first] = sandboxes;
    if (!first) return [];
    return this.#database.transaction(async (transaction) => {
      await lockTeam(transaction, first.teamId);
      const [found] = await transaction('sandboxes')
        .where({ team_id: first.teamId })
        .whereNot({ state: 'DELETED' })
        .count('* as count');
      if (Number(found?.count) + sandboxes.length > limit) throw sandboxLimit(limit);
      await keepTemplate(transaction, first.templateId);
      const inserted = transaction('sandboxes').insert(sandboxes.map(toNewRow)).returning('*');
      const rows: SandboxRow[] = await withTemplate(transaction, inserted);
      const records = new Map(rows.map((row) => [row.id, toSandboxRecord(row)]));
      return sandboxes.map(({ id }) => records.get(id) as SandboxRecord);
    });
  }

  async find(teamId: string, id: string): Promise<SandboxRecord | undefined> {
    const row = await this.#database.query((knex) =>
      visible(knex, teamId).where('sandboxes.id', id).first<SandboxRow | undefined>(),
    );
    return row && toSandboxRecord(row);
  }

  /** @param filter what the sandboxes have; none hides nothing. */
  async list(
    teamId: string,
    page: PageRequest,
    { states = [], metadata = {} }: SandboxFilter = {},
  ): Promise<Page<SandboxRecord>> {
    return this.#database.query((knex) => {
      const query = knex.select('*').from(visible(knex, teamId).as('page'));
      if (states.length > 0) void query.whereIn('state', states);
      if (Object.keys(metadata).length > 0) {
        void query.whereRaw('metadata @> ?::jsonb', [JSON.stringify(metadata)]);
      }
      return readPage(query, page, toSandboxRecord);
    });
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

  /**
   * Changes the inactivity timeout, and counts as activity. It is no change of state.
   * @returns the new record, or undefined when the sandbox is gone or going.
   */
  async setTimeout(
    { id, teamId }: { id: string; teamId: string },
    { timeoutSec, onTimeout }: { timeoutSec: number; onTimeout: TimeoutAction },
  ): Promise<SandboxRecord | undefined> {
    const [row] = await this.#database.query((knex) => {
      const changed = knex('sandboxes')
        .where({ id, team_id: teamId })
        .whereNotIn('state', ['DELETING', 'DELETED'])
        .update({
          timeout_sec: timeoutSec,
          on_timeout: onTimeout,
          last_active_at: knex.fn.now(3),
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

function toNewRow(sandbox: NewSandbox) {
  return {
    id: sandbox.id,
    team_id: sandbox.teamId,
    template_id: sandbox.templateId,
    host_id: sandbox.hostId,
    state: 'STARTING',
    vcpus: sandbox.vcpus,
    memory_mb: sandbox.memoryMb,
    timeout_sec: sandbox.timeoutSec,
    on_timeout: sandbox.onTimeout,
    metadata: JSON.stringify(sandbox.metadata),
  };
}

/** `state` in an expression means the one before the change. */
function toColumns(change: SandboxChange, knex: Queryable): Record<string, unknown> {
  switch (change.state) {
    case 'RUNNING':
      return {
        state: change.state,
        state_reason: change.stateReason ?? null,
        guest_ip: change.guestIp,
        host_ip: change.hostIp,
        started_at: knex.raw('coalesce(started_at, ?)', [change.startedAt]),
        last_active_at: knex.raw(`case state when 'RUNNING' then last_active_at else now() end`),
      };
    case 'PAUSED':
      return {
        ...{ state: change.state, state_reason: change.stateReason ?? null },
        ...{ paused_at: change.pausedAt, guest_ip: '', host_ip: '' },
      };
    case 'PAUSING':
    case 'RESUMING':
    case 'DELETING':
      return {
        state: change.state,
        state_reason: null,
        generation: knex.raw('generation + 1'),
      };
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
