/**
 * One sandbox of this host, in memory. The ledger holds the same on disk.
 *
 *               boot fails: everything undone, forgotten
 *                 ┌────────────▶ (gone)
 *   (create) ─▶ STARTING ─▶ RUNNING ──────────▶ STOPPING ─▶ (gone)
 *                              │    destroy        ▲
 *                              │                   │ destroy acknowledges
 *                              └──────────────▶ ENDED
 *                         VMM exited, timeout:
 *                         everything freed, remembered
 */
import { Code, type Reason, WrennError } from '../../lib/errors/index.js';
import type { GuestClient } from '../guest/guest-client.js';
import type { Machine } from '../vmm/driver.js';
import type { SandboxEntry } from './entry.js';

/** Calls into one guest at once; each may hold two full outputs in the agent's memory. */
export const CALLS_PER_SANDBOX_MAX = 64;
/** Pause before what could not be freed is tried again. */
const FREE_RETRY_INTERVAL_MS = 10_000;

export class Sandbox {
  readonly entry: SandboxEntry;
  machine: Machine | undefined;
  guest: GuestClient | undefined;
  /** Aborts a boot that is under way. */
  readonly abortBoot = new AbortController();
  #lastActiveAtMs: number;
  #lastActiveTick: number;
  #callsInFlight = 0;
  #freeRetryTick = 0;

  constructor(entry: SandboxEntry) {
    this.entry = entry;
    this.#lastActiveAtMs = Date.now();
    this.#lastActiveTick = performance.now();
  }

  get id(): string {
    return this.entry.sandboxId;
  }

  get lastActiveAtMs(): number {
    return this.#lastActiveAtMs;
  }

  get endReason(): Reason | undefined {
    return this.entry.endReason as Reason | undefined;
  }

  /** Starts the inactivity timeout anew. */
  touch(): void {
    this.#lastActiveAtMs = Date.now();
    this.#lastActiveTick = performance.now();
  }

  /**
   * Counts the whole call as activity, from its start to its end.
   * @throws OVERLOADED when too many calls are under way already.
   */
  async active<T>(call: () => Promise<T>): Promise<T> {
    this.touch();
    if (this.#callsInFlight >= CALLS_PER_SANDBOX_MAX) throw tooManyCalls();
    this.#callsInFlight += 1;
    try {
      return await call();
    } finally {
      this.#callsInFlight -= 1;
      this.touch();
    }
  }

  /** Whether the inactivity timeout has passed. The monotonic clock decides: a host's clock may jump. */
  expired(): boolean {
    if (this.entry.phase !== 'running' || this.entry.timeoutSec === 0 || this.#callsInFlight > 0) {
      return false;
    }
    return performance.now() - this.#lastActiveTick >= this.entry.timeoutSec * 1000;
  }

  /** Notes that something could not be freed, so that it is tried again after a pause. */
  noteFreeFailed(): void {
    this.#freeRetryTick = performance.now() + FREE_RETRY_INTERVAL_MS;
  }

  /** Whether a stop, or an end, has left something that is to be freed now. */
  needsFreeing(): boolean {
    if (performance.now() < this.#freeRetryTick) return false;
    const { phase, machine, rootfs, slot } = this.entry;
    if (phase === 'stopping') return true;
    return phase === 'ended' && (machine ?? rootfs ?? slot) !== undefined;
  }
}

function tooManyCalls(): WrennError {
  return new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'OVERLOADED',
    `the sandbox has ${CALLS_PER_SANDBOX_MAX} calls under way already`,
    { retryAfterSec: 1 },
  );
}
