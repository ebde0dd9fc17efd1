/**
 * One sandbox of this host, in memory. The ledger holds the same on disk.
 *
 *               start fails: everything undone, forgotten
 *                 ┌────────────▶ (gone, or paused again)
 *   (create) ─▶ STARTING ─▶ RUNNING ──────────▶ STOPPING ─▶ (gone)
 *   (resume) ─▶ RESUMING ─▶  │ ▲ │    destroy      ▲ ▲
 *                     fails: │ │ │                 │ │ destroy acknowledges
 *                            ▼ │ └─────────────▶ ENDED
 *                          PAUSING   VMM exited, timeout:
 *                            │       everything freed, remembered
 *                            └─ written down ──────┘ (paused: a ref, no entry)
 */
import { Code, type Reason, WrennError } from '../../lib/errors/index.js';
import type { GuestClient } from '../guest/guest-client.js';
import type { ServedMemory } from '../memory/provider.js';
import type { Hold, SnapshotStore } from '../snapshot/store.js';
import type { Machine } from '../vmm/driver.js';
import type { SandboxEntry } from './entry.js';

/** Calls into one guest at once; each may hold two full outputs in the agent's memory. */
export const CALLS_PER_SANDBOX_MAX = 64;
/** Streams into one guest at once; the daemon runs as many programs. */
export const STREAMS_PER_SANDBOX_MAX = 256;
/** Pause before what could not be freed is tried again. */
const FREE_RETRY_INTERVAL_MS = 10_000;
/** Pause before a sandbox that could not be paused at its timeout is tried again. */
const PAUSE_RETRY_INTERVAL_MS = 30_000;

/** For what a machine needs a generation: its memory comes from it, or the next one is a difference to it. */
export type HoldRole = 'serving' | 'parent';

export class Sandbox {
  readonly entry: SandboxEntry;
  machine: Machine | undefined;
  guest: GuestClient | undefined;
  memory: ServedMemory | undefined;
  /** Aborts a start that is under way. */
  readonly abortStart = new AbortController();
  /** Whether its virtual processors stand still and cannot be made to run. */
  isStuck = false;
  /** Whether its guest stands still because the host's disk is full. */
  isDiskFull = false;
  /** Whether a pause has freed everything, so that nothing of it is left here. */
  isFreed = false;
  readonly #holds = new Map<HoldRole, Hold>();
  #lastActiveAtMs: number;
  #lastActiveTick: number;
  #callsInFlight = 0;
  #openStreams = 0;
  #freeRetryTick = 0;
  #pauseRetryTick = 0;

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

  /**
   * Counts as activity until the stream is let go of.
   * @returns what lets go of it.
   * @throws STREAM_LIMIT when too many are open already.
   */
  openStream(): () => void {
    if (this.#openStreams >= STREAMS_PER_SANDBOX_MAX) throw tooManyStreams();
    this.touch();
    this.#openStreams += 1;
    return () => {
      this.#openStreams -= 1;
      this.touch();
    };
  }

  /** Whether the inactivity timeout has passed. The monotonic clock decides: a host's clock may jump. */
  expired(): boolean {
    if (this.entry.phase !== 'running' || this.entry.timeoutSec === 0) return false;
    if (this.#callsInFlight + this.#openStreams > 0) return false;
    if (performance.now() < this.#pauseRetryTick) return false;
    return performance.now() - this.#lastActiveTick >= this.entry.timeoutSec * 1000;
  }

  /** Keeps a generation, in place of the one that it has kept in this role. */
  hold(store: SnapshotStore, role: HoldRole, generationId: string): void {
    const hold = store.hold(generationId);
    this.#holds.get(role)?.release();
    this.#holds.set(role, hold);
    if (role === 'serving') this.entry.servingGenerationId = generationId;
    else this.entry.parentGenerationId = generationId;
  }

  /** Takes all that another one has, which has nothing afterwards. */
  takeOver(other: Sandbox): void {
    const { runDirectory, slot, rootfs, machine, memory } = other.entry;
    const { servingGenerationId, parentGenerationId, envdVersion } = other.entry;
    Object.assign(this.entry, { runDirectory, slot, rootfs, machine, memory });
    Object.assign(this.entry, { servingGenerationId, parentGenerationId, envdVersion });
    this.machine = other.machine;
    this.memory = other.memory;
    for (const [role, hold] of other.#holds) this.#holds.set(role, hold);
    other.#holds.clear();
    other.guest?.close();
    other.machine = undefined;
    other.memory = undefined;
    other.entry.phase = 'stopping';
  }

  releaseHolds(): void {
    for (const hold of this.#holds.values()) hold.release();
    this.#holds.clear();
  }

  /** Notes that it could not be paused at its timeout, so that it is tried again after a pause. */
  notePauseFailed(): void {
    this.#pauseRetryTick = performance.now() + PAUSE_RETRY_INTERVAL_MS;
  }

  /** Notes that something could not be freed, so that it is tried again after a pause. */
  noteFreeFailed(): void {
    this.#freeRetryTick = performance.now() + FREE_RETRY_INTERVAL_MS;
  }

  /** Whether a stop, or an end, has left something that is to be freed now. */
  needsFreeing(): boolean {
    if (performance.now() < this.#freeRetryTick) return false;
    const { phase, machine, rootfs, nextRootfs, slot } = this.entry;
    if (phase === 'stopping') return true;
    return phase === 'ended' && (machine ?? rootfs ?? nextRootfs ?? slot) !== undefined;
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

function tooManyStreams(): WrennError {
  return new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'STREAM_LIMIT',
    `the sandbox has ${STREAMS_PER_SANDBOX_MAX} open streams already`,
    { metadata: { limit: String(STREAMS_PER_SANDBOX_MAX) }, retryAfterSec: 1 },
  );
}
