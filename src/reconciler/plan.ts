/**
 * What has to be done so that database and host agree. A pure function of what
 * each of them says, what earlier passes saw, and the time.
 *
 * It is careful in one direction: a row is about one sandbox and its change is
 * conditional, but what is deleted on the host is gone. So
 *   - an answer that is missing or not complete leads to nothing at all;
 *   - what the database knows as deleted, failed or ended is cleared at once;
 *   - what the database does not know (an orphan) must be seen by two passes
 *     and be old enough, only a few go in one pass, and none when no sandbox
 *     was ever placed on this host: then one of the two may be the wrong one.
 *
 * The host is asked before the rows are read, so it may speak of a time before
 * the newest command. Where it knows an older generation than the row, two
 * passes must agree that running and paused differ. A paused sandbox holds
 * nothing of the host but its snapshot: that it is absent says nothing.
 */
import type { Reason } from '../../lib/errors/index.js';
import type { SandboxState } from '../store/sandbox.js';

/** Passes that must agree that something is missing, or an orphan. */
export const PASSES_TO_BELIEVE = 2;
/** Orphans that one pass may delete: this many, or a part of all sandboxes of the host. */
export const ORPHANS_PER_PASS_MIN = 2;
export const ORPHANS_PER_PASS_SHARE = 0.1;

export interface Desired {
  id: string;
  state: SandboxState;
  generation: number;
  createdAtMs: number;
  /** Whether the row says that the guest waits for room on the host's disk. */
  diskFull: boolean;
}

export type ObservedState =
  | 'STARTING'
  | 'RUNNING'
  | 'PAUSING'
  | 'PAUSED'
  | 'RESUMING'
  | 'STOPPING'
  | 'ENDED';

export interface Observed {
  id: string;
  state: ObservedState;
  generation: number;
  /** Why it ended. */
  endReason: Reason;
  createdAtMs: number;
  /** Whether the guest waits for room on the host's disk. */
  diskFull: boolean;
}

/** Consecutive passes that saw the same thing missing, in another state, or the same orphan. */
export type Memory = ReadonlyMap<string, number>;

export interface PlanInput {
  /** Rows of the host that live, or that the observed ids have; undefined when they could not be read. */
  desired: readonly Desired[] | undefined;
  /** Whether any sandbox was ever placed on this host. */
  anyKnown: boolean;
  /** What the host has; undefined when it did not answer. */
  observed: readonly Observed[] | undefined;
  /** Whether the host is sure that this is all. */
  complete: boolean;
  /** Ids on which a call is working right now. */
  inFlight: { has(id: string): boolean };
  memory: Memory;
  nowMs: number;
  /** Age from which an orphan, or a start that the host does not know, is believed. */
  graceMs: number;
  /** Age at which a boot is given up. */
  bootTimeoutMs: number;
}

export type Action =
  /** It runs, or stands still for want of disk, or not any more: the row says so from now on. */
  | { kind: 'mark-running'; id: string }
  /** It is paused: the row says so from now on, and why. */
  | { kind: 'mark-paused'; id: string }
  | { kind: 'mark-lost'; id: string }
  /** The row fails, then the host forgets the sandbox. */
  | { kind: 'fail'; id: string; reason: Reason }
  /** Its time was over: the row goes, then the host forgets the sandbox. */
  | { kind: 'expire'; id: string }
  /** Deletes it on the host, then the row goes. */
  | { kind: 'finish-delete'; id: string }
  /** Deletes what the host should not have. */
  | { kind: 'destroy'; id: string; generation: number; cause: 'leftover' | 'orphan' };

export interface Plan {
  actions: Action[];
  memory: Memory;
  /** Orphans that were left for a later pass, by the cap or because the database is in doubt. */
  orphansHeldBack: number;
}

export function plan(input: PlanInput): Plan {
  const { desired, observed, complete, memory } = input;
  if (!desired || !observed || !complete) return { actions: [], memory, orphansHeldBack: 0 };

  const next = new Map<string, number>();
  const observedById = new Map(observed.map((sandbox) => [sandbox.id, sandbox]));
  const desiredIds = new Set(desired.map(({ id }) => id));
  const actions = desired
    .filter(({ id }) => !input.inFlight.has(id))
    .map((row) => planRow(row, observedById.get(row.id), input, next))
    .filter((action) => action !== undefined);
  const strangers = observed.filter(({ id }) => !desiredIds.has(id) && !input.inFlight.has(id));
  const orphans = believedOrphans(strangers, input, next);
  const allowed = input.anyKnown ? orphanCap(observed.length) : 0;
  return {
    actions: [...actions, ...orphans.slice(0, allowed).map(destroyOrphan)],
    memory: next,
    orphansHeldBack: Math.max(0, orphans.length - allowed),
  };
}

function planRow(
  row: Desired,
  observed: Observed | undefined,
  input: PlanInput,
  next: Map<string, number>,
): Action | undefined {
  if (row.state === 'DELETING') return { kind: 'finish-delete', id: row.id };
  if (!observed) return planMissing(row, input, next);
  if (row.state === 'DELETED' || row.state === 'FAILED') return destroyLeftover(observed);
  switch (observed.state) {
    case 'ENDED':
      return planEnded(row, observed);
    case 'RUNNING':
      return planRunning(row, observed, input, next);
    case 'PAUSED':
      if (row.state === 'PAUSED' || isInDoubt(row, observed, input, next)) return undefined;
      return { kind: 'mark-paused', id: row.id };
    case 'STARTING':
    case 'STOPPING':
      return planLate(row, input);
    default:
      return undefined;
  }
}

/** The host does not have it. */
function planMissing(
  row: Desired,
  input: PlanInput,
  next: Map<string, number>,
): Action | undefined {
  const { id, state } = row;
  if (state === 'PAUSED' || state === 'LOST' || state === 'FAILED' || state === 'DELETED') {
    return undefined;
  }
  const passes = countPass(id, input, next);
  if (passes < PASSES_TO_BELIEVE) return undefined;
  if (state !== 'STARTING') return { kind: 'mark-lost', id };
  const isOld = input.nowMs - row.createdAtMs >= input.graceMs;
  return isOld ? { kind: 'fail', id, reason: 'SANDBOX_LOST' } : undefined;
}

function planRunning(
  row: Desired,
  observed: Observed,
  input: PlanInput,
  next: Map<string, number>,
): Action | undefined {
  if (row.state === 'RUNNING' && row.diskFull === observed.diskFull) return undefined;
  const wasPaused = row.state === 'PAUSING' || row.state === 'PAUSED' || row.state === 'RESUMING';
  if (wasPaused && isInDoubt(row, observed, input, next)) return undefined;
  return { kind: 'mark-running', id: row.id };
}

/** Whether the host may speak of a time before the newest command. */
function isInDoubt(
  row: Desired,
  observed: Observed,
  input: PlanInput,
  next: Map<string, number>,
): boolean {
  if (observed.generation >= row.generation) return false;
  return countPass(row.id, input, next) < PASSES_TO_BELIEVE;
}

/** A boot that takes longer than anybody waits for it. */
function planLate(row: Desired, input: PlanInput): Action | undefined {
  const isLate = input.nowMs - row.createdAtMs > input.bootTimeoutMs;
  if (row.state !== 'STARTING' || !isLate) return undefined;
  return { kind: 'fail', id: row.id, reason: 'BOOT_TIMEOUT' };
}

function planEnded(row: Desired, { endReason }: Observed): Action {
  if (endReason === 'SANDBOX_TIMEOUT') return { kind: 'expire', id: row.id };
  const reason = endReason === 'UNSPECIFIED' ? 'SANDBOX_LOST' : endReason;
  return { kind: 'fail', id: row.id, reason };
}

function believedOrphans(
  strangers: readonly Observed[],
  input: PlanInput,
  next: Map<string, number>,
): Observed[] {
  return strangers.filter(
    ({ id, createdAtMs }) =>
      countPass(id, input, next) >= PASSES_TO_BELIEVE && input.nowMs - createdAtMs >= input.graceMs,
  );
}

function countPass(id: string, { memory }: PlanInput, next: Map<string, number>): number {
  const passes = (memory.get(id) ?? 0) + 1;
  next.set(id, passes);
  return passes;
}

function orphanCap(observed: number): number {
  return Math.max(ORPHANS_PER_PASS_MIN, Math.floor(observed * ORPHANS_PER_PASS_SHARE));
}

function destroyLeftover({ id, generation }: Observed): Action {
  return { kind: 'destroy', id, generation, cause: 'leftover' };
}

function destroyOrphan({ id, generation }: Observed): Action {
  return { kind: 'destroy', id, generation, cause: 'orphan' };
}
