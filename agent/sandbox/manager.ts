/**
 * What can be asked of this host's sandboxes: creating, using, pausing,
 * copying and ending them. What they are lies in the registry; the larger
 * operations have files of their own.
 */
import { Semaphore } from '../../lib/lifecycle/semaphore.js';
import type { GuestClient } from '../guest/guest-client.js';
import type { Lineage } from '../snapshot/generation.js';
import { freeMemoryMb } from './admission.js';
import { type CreateSandboxOptions, SandboxCreator } from './creator.js';
import { resumeFromFullDisk } from './disk-space.js';
import { deletedWhileStarting, staleGeneration } from './errors.js';
import { Files } from './files.js';
import { type ForkResult, forkSandbox, removeForks } from './fork.js';
import type { Host } from './host.js';
import { checkSandboxId } from './names.js';
import { findPaused, listPaused, pause, pauseExpired, type Resumed, resume } from './pausing.js';
import { Programs } from './programs.js';
import { ReadyPool } from './ready-pool.js';
import { recoverSandboxes } from './recover.js';
import { SandboxRegistry } from './registry.js';
import type { Sandbox } from './sandbox.js';
import { type PausedSandbox, toRef } from './sandbox-ref.js';
import {
  createSnapshot,
  deleteSnapshot,
  listGenerations,
  type SnapshotInfo,
  type SnapshotOptions,
  type Verified,
  verifyGeneration,
} from './snapshots.js';
import { sweepHost } from './sweep.js';
import { Tombstones } from './tombstones.js';
import { withGuest } from './with-guest.js';

/** How often timeouts are looked at. */
const REAP_INTERVAL_MS = 1000;
/** Sandboxes that are ended, paused or freed side by side. */
const REAPS_AT_ONCE_MAX = 16;

/** A sandbox that has a machine, or one that is paused. */
export type ListedSandbox =
  | { kind: 'live'; sandbox: Sandbox }
  | { kind: 'paused'; paused: PausedSandbox };

export class SandboxManager {
  /** Their programs. */
  readonly programs: Programs;
  /** Their files. */
  readonly files: Files;
  readonly #host: Host;
  readonly #registry: SandboxRegistry;
  readonly #pool: ReadyPool;
  readonly #creator: SandboxCreator;
  readonly #tombstones = new Tombstones();
  readonly #reaper: NodeJS.Timeout;
  /** Sandboxes that the reaper is working on. */
  readonly #reaping = new Set<string>();
  readonly #reaps = new Semaphore(REAPS_AT_ONCE_MAX);
  readonly #recovered: Promise<void>;
  #recoveryComplete = false;

  constructor(host: Host) {
    this.#host = host;
    this.#registry = new SandboxRegistry(host);
    this.#pool = new ReadyPool(this.#registry);
    this.#creator = new SandboxCreator(this.#registry, this.#pool, this.#tombstones);
    const ready = () => this.#ready();
    this.programs = new Programs(this.#registry, ready);
    this.files = new Files(this.#registry, ready);
    this.#recovered = this.#recover();
    // Each call that waits for it reports the failure; main.ts waits for it too.
    this.#recovered.catch(() => undefined);
    this.#reaper = setInterval(() => this.#reap(), REAP_INTERVAL_MS);
    this.#reaper.unref();
  }

  /** Resolves when the sandboxes of an earlier run are back and the rest is swept. */
  recovered(): Promise<void> {
    return this.#recovered;
  }

  /** Whether `list` is the whole truth; until then an absent sandbox says nothing. */
  get complete(): boolean {
    return this.#recoveryComplete;
  }

  /** Frees now what a stopping sandbox still holds, which the reaper would do in a while. Never rejects. */
  async finish(sandboxId: string): Promise<void> {
    const sandbox = this.#registry.get(sandboxId);
    if (sandbox) await this.#registry.locked(sandboxId, () => this.#registry.finish(sandbox));
  }

  /** Machines that stand ready, once the pool is not being filled. */
  async readyMachines(): Promise<number> {
    await this.#pool.filled();
    return this.#pool.size;
  }

  /** Resolves when nothing is being removed that nobody needs. */
  settled(): Promise<void> {
    return this.#registry.collected();
  }

  /** Counts every change of what `list` returns. */
  get changes() {
    return this.#registry.changes;
  }

  /**
   * All sandboxes: those that have a machine, those that ended by themselves until `destroy`
   * acknowledges them, and the paused ones.
   */
  list(): ListedSandbox[] {
    const live = this.#registry.all().filter(({ entry }) => !entry.internal);
    const paused = listPaused(this.#registry);
    return [
      ...live.map((sandbox) => ({ kind: 'live' as const, sandbox })),
      ...paused.map((each) => ({ kind: 'paused' as const, paused: each })),
    ];
  }

  get memoryMbUsed(): number {
    const { memoryMbMax } = this.#host.limits;
    return memoryMbMax - freeMemoryMb(memoryMbMax, this.#registry.all());
  }

  get memoryMbMax(): number {
    return this.#host.limits.memoryMbMax;
  }

  /** Starts a sandbox and resolves when it takes commands; a failed start leaves nothing behind. */
  async create(options: CreateSandboxOptions, signal: AbortSignal): Promise<Sandbox> {
    await this.#ready(signal);
    return this.#creator.create(options, signal);
  }

  /** Ends a sandbox, paused or not, and frees all it holds. An unknown one is no error. Wins over a start under way. */
  async destroy(sandboxId: string, generation: number): Promise<void> {
    checkSandboxId(sandboxId);
    await this.#ready();
    this.#tombstones.add(sandboxId, generation);
    const known = this.#registry.get(sandboxId)?.entry ?? findPaused(this.#registry, sandboxId);
    if (known && generation < known.generation) {
      throw staleGeneration(sandboxId, generation, known.generation);
    }
    this.#registry.get(sandboxId)?.abortStart.abort(deletedWhileStarting(sandboxId));
    await this.#registry.locked(sandboxId, async () => {
      // First, so that whatever fails afterwards is only freed and never comes back.
      await this.#host.snapshots.removeRef('sandbox', sandboxId);
      const sandbox = this.#registry.get(sandboxId);
      if (sandbox) await this.#registry.stop(sandbox);
      this.#registry.changes.bump();
      this.#registry.collectGarbage();
    });
  }

  /** @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, STALE_GENERATION, HOST_DISK_FULL, PAUSE_FAILED */
  async pause(sandboxId: string, generation: number): Promise<PausedSandbox> {
    checkSandboxId(sandboxId);
    await this.#ready();
    return pause(this.#registry, sandboxId, generation);
  }

  /** @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, STALE_GENERATION and what a start throws. */
  async resume(sandboxId: string, generation: number, cold: boolean): Promise<Resumed> {
    checkSandboxId(sandboxId);
    await this.#ready();
    const buried = this.#tombstones.generation(sandboxId);
    if (buried !== undefined && generation <= buried) {
      throw staleGeneration(sandboxId, generation, buried);
    }
    await this.#pool.makeRoom(findPaused(this.#registry, sandboxId)?.memoryMb ?? 0);
    return resume(this.#registry, sandboxId, generation, cold);
  }

  /** @throws as forkSandbox. */
  async fork(
    sandboxId: string,
    childIds: readonly string[],
    signal: AbortSignal,
  ): Promise<ForkResult[]> {
    await this.#ready(signal);
    return forkSandbox(this.#registry, sandboxId, childIds, signal);
  }

  /** @throws as createSnapshot. */
  async createSnapshot(options: SnapshotOptions): Promise<SnapshotInfo> {
    await this.#ready();
    return createSnapshot(this.#registry, options);
  }

  /** Idempotent. */
  async deleteSnapshot(snapshotId: string): Promise<void> {
    await this.#ready();
    return deleteSnapshot(this.#registry, snapshotId);
  }

  async listGenerations(sandboxId: string): Promise<Lineage[]> {
    await this.#ready();
    return listGenerations(this.#registry, sandboxId);
  }

  /** @throws SNAPSHOT_DAMAGED with the artifact. */
  async verifyGeneration(sandboxId: string): Promise<Verified> {
    await this.#ready();
    return verifyGeneration(this.#registry, sandboxId);
  }

  /** Counts as activity. */
  async ping(sandboxId: string): Promise<Sandbox> {
    await this.#ready();
    const sandbox = this.#registry.running(sandboxId);
    sandbox.touch();
    return sandbox;
  }

  /** Changes the inactivity timeout of a running or paused sandbox. */
  async setTimeout(
    sandboxId: string,
    timeout: { timeoutSec: number; pauseOnTimeout: boolean },
  ): Promise<ListedSandbox> {
    checkSandboxId(sandboxId);
    await this.#ready();
    const { timeoutSec, pauseOnTimeout } = timeout;
    return this.#registry.locked(sandboxId, async () => {
      const before = this.#registry.get(sandboxId)
        ? undefined
        : findPaused(this.#registry, sandboxId);
      if (before) {
        const paused = { ...before, timeoutSec, pauseOnTimeout };
        await this.#host.snapshots.setRef(toRef(paused, 'paused'));
        return { kind: 'paused', paused };
      }
      const sandbox = this.#registry.running(sandboxId);
      sandbox.touch();
      const { entry } = sandbox;
      await this.#host.ledger.put({ ...entry, timeoutSec, pauseOnTimeout });
      Object.assign(entry, { timeoutSec, pauseOnTimeout });
      return { kind: 'live', sandbox };
    });
  }

  /** Gives `call` the guest of a running sandbox; the whole call counts as activity. */
  async withGuest<T>(sandboxId: string, call: (guest: GuestClient) => Promise<T>): Promise<T> {
    await this.#ready();
    return withGuest(this.#registry, sandboxId, call);
  }

  /** Ends all streams, so that a server that is shutting down need not wait for them. */
  endStreams(): void {
    this.#registry.endStreams();
  }

  /** Undoes starts under way and lets go of the running machines, which go on without the agent. */
  async close(): Promise<void> {
    clearInterval(this.#reaper);
    await this.#recovered.catch(() => undefined);
    await this.#registry.close();
  }

  async #recover(): Promise<void> {
    const { sandboxes, isWhole } = await recoverSandboxes(this.#host);
    for (const sandbox of sandboxes) this.#registry.adopt(sandbox);
    await removeForks(this.#host);
    this.#registry.isWhole = isWhole;
    if (isWhole) {
      await sweepHost(this.#host, sandboxes);
      this.#registry.collectGarbage();
    }
    this.#recoveryComplete = true;
    this.#registry.changes.bump();
  }

  async #ready(signal?: AbortSignal): Promise<void> {
    this.#registry.requireOpen();
    await this.#recovered;
    signal?.throwIfAborted();
  }

  /**
   * Ends or pauses every sandbox whose timeout has passed, tries again what could not be freed, and
   * lets those run that waited for room on the disk. It only starts the work: one slow end must
   * not hold up another's.
   */
  #reap(): void {
    if (!this.#recoveryComplete) return;
    for (const sandbox of this.#registry.all()) {
      const work = this.#due(sandbox);
      if (!work || this.#reaping.has(sandbox.id)) continue;
      this.#reaping.add(sandbox.id);
      void this.#reaps.run(work).finally(() => this.#reaping.delete(sandbox.id));
    }
  }

  #due(sandbox: Sandbox): (() => Promise<void>) | undefined {
    const registry = this.#registry;
    if (sandbox.isDiskFull) return () => resumeFromFullDisk(registry, sandbox);
    if (sandbox.expired()) {
      if (sandbox.entry.pauseOnTimeout) return () => pauseExpired(registry, sandbox);
      return () => registry.end(sandbox, 'SANDBOX_TIMEOUT', () => sandbox.expired());
    }
    if (!sandbox.needsFreeing()) return undefined;
    return () => registry.locked(sandbox.id, () => registry.finish(sandbox));
  }
}
