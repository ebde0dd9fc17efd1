/**
 * Makes database and host agree: a pass every interval and after each nudge,
 * one at a time, also among several control planes of one host.
 */
import type { Host } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { hasReason } from '../../lib/errors/index.js';
import { delay } from '../../lib/lifecycle/delay.js';
import { mapConcurrently } from '../../lib/lifecycle/map-concurrently.js';
import type { Log } from '../../lib/log/log.js';
import type { InFlight } from '../app/in-flight.js';
import type { SandboxRemover } from '../app/sandbox-remover.js';
import type { SnapshotRemover } from '../app/snapshot-remover.js';
import { CREATE_TIMEOUT_MS, type HostAgent } from '../hosts/host-agent.js';
import type { Stores } from '../store/index.js';
import { applyAction } from './apply.js';
import { type Observation, observe, toDesired, toObserved } from './observe.js';
import { type Action, type Memory, plan } from './plan.js';
import { finishSnapshots } from './snapshots.js';

/** Pause between two passes, however many nudges there are. */
export const PASS_PAUSE_MS = 250;
/** Actions that are carried out at the same time. */
export const ACTIONS_AT_ONCE_MAX = 8;
/** Age at which the row of a deleted sandbox or snapshot is purged. */
export const DELETED_ROW_AGE_SEC = 7 * 24 * 3600;
/** Beyond the longest create that anybody may still wait for. */
const BOOT_TIMEOUT_MS = CREATE_TIMEOUT_MS + 60_000;

export interface ReconcilerOptions {
  stores: Stores;
  host: HostAgent;
  remover: SandboxRemover;
  snapshotRemover: SnapshotRemover;
  inFlight: InFlight;
  log: Log;
  intervalMs: number;
  graceMs: number;
}

export type PassOutcome =
  | 'done'
  | 'host-unavailable'
  | 'host-incomplete'
  | 'database-unavailable'
  | 'another-control-plane'
  | 'failed';

export interface PassStatus {
  outcome: PassOutcome;
  finishedAt: Date;
  /** Actions of the plan, and how many of them failed and will be planned again. */
  actions: number;
  actionsFailed: number;
  orphansHeldBack: number;
}

type PassResult = Omit<PassStatus, 'finishedAt'>;

const NOTHING = { actions: 0, actionsFailed: 0, orphansHeldBack: 0 };

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #closing = new AbortController();
  #memory: Memory = new Map();
  #nudged = new AbortController();
  #loop: Promise<void> | undefined;
  #lastPass: PassStatus | undefined;
  #knownTemplates = '';

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** How the last pass went; undefined before the first. */
  get lastPass(): PassStatus | undefined {
    return this.#lastPass;
  }

  /** Starts with a pass. */
  start(): void {
    this.#loop ??= this.#run();
  }

  /** Asks for a pass soon; several nudges may share one. */
  nudge(): void {
    this.#nudged.abort();
  }

  /** Ends the loop after the pass that is under way. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#nudged.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      this.#nudged = new AbortController();
      await this.#pass();
      await waitUntilAborted(PASS_PAUSE_MS, signal);
      await waitUntilAborted(this.#options.intervalMs, this.#nudged.signal);
    }
  }

  async #pass(): Promise<void> {
    const { stores, host, log } = this.#options;
    let result: PassResult;
    try {
      const facts = await host.getHost();
      const done = await stores.hostSandboxes.alone(facts.hostId, () => this.#reconcile(facts));
      result = done ?? { outcome: 'another-control-plane', ...NOTHING };
    } catch (error) {
      result = { outcome: outcomeOf(error), ...NOTHING };
      log.warn('reconciler pass failed', { outcome: result.outcome, error });
    }
    this.#lastPass = { ...result, finishedAt: new Date() };
    if (result.actions > 0 || result.orphansHeldBack > 0) {
      const { actions, actionsFailed, orphansHeldBack } = result;
      log.info('reconciler pass finished', {
        actions,
        actions_failed: actionsFailed,
        orphans_held_back: orphansHeldBack,
      });
    }
  }

  async #reconcile(facts: Host): Promise<PassResult> {
    const { stores, host, inFlight, graceMs } = this.#options;
    const observation = await observe(host, facts, stores);
    await this.#offerTemplates(observation.templates);
    const { rows, hostSandboxes, complete } = observation;
    const { actions, memory, orphansHeldBack } = plan({
      desired: rows.sandboxes.map(toDesired),
      anyKnown: rows.anyKnown,
      observed: hostSandboxes.map(toObserved),
      complete,
      inFlight,
      memory: this.#memory,
      nowMs: rows.now.getTime(),
      graceMs,
      bootTimeoutMs: BOOT_TIMEOUT_MS,
    });
    this.#memory = memory;
    const actionsFailed = await this.#apply(observation, actions);
    if (complete) await finishSnapshots(this.#options, facts.hostId);
    await stores.hostSandboxes.purgeDeleted(DELETED_ROW_AGE_SEC);
    await stores.snapshots.purgeDeleted(DELETED_ROW_AGE_SEC);
    const outcome = complete ? 'done' : 'host-incomplete';
    return { outcome, actions: actions.length, actionsFailed, orphansHeldBack };
  }

  /** @returns how many actions failed. */
  async #apply(observation: Observation, actions: readonly Action[]): Promise<number> {
    const { log, inFlight } = this.#options;
    let failed = 0;
    await mapConcurrently(actions, ACTIONS_AT_ONCE_MAX, async (action) => {
      if (inFlight.has(action.id) || this.#closing.signal.aborted) return;
      log.info('reconciler acts', {
        sandbox_id: action.id,
        action: action.kind,
        ...causeOf(action),
      });
      try {
        await applyAction(this.#options, observation, action);
      } catch (error) {
        failed += 1;
        log.warn('reconciler action failed', { sandbox_id: action.id, action: action.kind, error });
      }
    });
    return failed;
  }

  /** What a host offers can be asked for. */
  async #offerTemplates(names: readonly string[]): Promise<void> {
    const key = names.join(' ');
    if (key === this.#knownTemplates) return;
    await this.#options.stores.templates.addGlobal(names);
    this.#knownTemplates = key;
  }
}

function causeOf(action: Action): Record<string, string> {
  if (action.kind === 'destroy') return { cause: action.cause };
  return action.kind === 'fail' ? { reason: action.reason } : {};
}

function outcomeOf(error: unknown): PassOutcome {
  if (hasReason(error, 'DATABASE_UNAVAILABLE')) return 'database-unavailable';
  return hasReason(error, 'HOST_UNAVAILABLE') ? 'host-unavailable' : 'failed';
}

async function waitUntilAborted(durationMs: number, signal: AbortSignal): Promise<void> {
  await delay(durationMs, signal).catch(() => undefined);
}
