/**
 * What can be asked of this host's sandboxes: creating, using, pausing,
 * copying and ending them. What they are lies in the registry; the larger
 * operations have files of their own.
 */
import { Code, WrennError } from '../../lib/errors/index.js';
import { Semaphore } from '../../lib/lifecycle/semaphore.js';
import type { GuestClient } from '../guest/guest-client.js';
import type { SandboxImages } from '../ledger/entry.js';
import type { Lineage } from '../snapshot/generation.js';
import { freeMemoryMb } from './admission.js';
import { resumeFromFullDisk } from './disk-space.js';
import {
  deletedWhileStarting,
  diskFull,
  sandboxExists,
  snapshotShape,
  staleGeneration,
  templateNotFound,
  wrongPhase,
} from './errors.js';
import { type ForkResult, forkSandbox, removeForks } from './fork.js';
import type { Host } from './host.js';
import { checkEnv, checkSandboxId, checkTemplateName } from './names.js';
import { findPaused, listPaused, pause, pauseExpired, type Resumed, resume } from './pausing.js';
import { ReadyPool } from './ready-pool.js';
import { recoverSandboxes } from './recover.js';
import { type SandboxPlan, SandboxRegistry } from './registry.js';
import type { Sandbox } from './sandbox.js';
import { type PausedSandbox, toRef } from './sandbox-ref.js';
import {
  createSnapshot,
  deleteSnapshot,
  findSnapshot,
  listGenerations,
  type SnapshotInfo,
  type SnapshotOptions,
  type Verified,
  verifyGeneration,
} from './snapshots.js';
import type { Origin } from './start.js';
import { sweepHost } from './sweep.js';
import { Tombstones } from './tombstones.js';
import { WarmTemplates } from './warm-templates.js';

/** How often timeouts are looked at. */
const REAP_INTERVAL_MS = 1000;
/** Sandboxes that are ended, paused or freed side by side. */
const REAPS_AT_ONCE_MAX = 16;

export interface CreateSandboxOptions {
  sandboxId: string;
  generation: number;
  template: string;
  vcpus: number;
  memoryMb: number;
  timeoutSec: number;
  pauseOnTimeout: boolean;
  env: Record<string, string>;
  /** Snapshot to start from; empty for the template's own images. */
  snapshotId: string;
}

/** A sandbox that has a machine, or one that is paused. */
export type ListedSandbox =
  | { kind: 'live'; sandbox: Sandbox }
  | { kind: 'paused'; paused: PausedSandbox };

export class SandboxManager {
  readonly #host: Host;
  readonly #registry: SandboxRegistry;
  readonly #warm: WarmTemplates;
  readonly #pool: ReadyPool;
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
    this.#warm = new WarmTemplates(this.#registry);
    this.#pool = new ReadyPool(this.#registry);
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
    this.#admit(options);
    const plan = await this.#plan(options);
    const isWarm = options.snapshotId === '';
    const origin = await this.#origin(options, plan, signal);
    await this.#pool.makeRoom(plan.memoryMb);
    // Others may have come in between.
    this.#admit(options);
    if (origin.kind !== 'restore' || !isWarm) return this.#start(plan, origin, signal);
    const sandbox =
      (await this.#claim(options, plan, origin.generationId, signal)) ??
      (await this.#restoreWarm(plan, origin, signal));
    this.#pool.refill(plan, origin.generationId);
    return sandbox;
  }

  /** @returns undefined when no machine stands ready, or the one that did was none. */
  async #claim(
    options: CreateSandboxOptions,
    plan: SandboxPlan,
    generationId: string,
    signal: AbortSignal,
  ): Promise<Sandbox | undefined> {
    const ready = this.#pool.take(generationId);
    if (!ready) return undefined;
    try {
      return await this.#start(plan, { kind: 'claim', ready }, signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#host.log.warn('ready machine not usable', { sandbox_id: plan.sandboxId, error });
      // A delete that came in between is final.
      this.#admit(options);
      return undefined;
    }
  }

  async #restoreWarm(
    plan: SandboxPlan,
    origin: Origin & { kind: 'restore' },
    signal: AbortSignal,
  ): Promise<Sandbox> {
    try {
      return await this.#start(plan, origin, signal);
    } catch (error) {
      await this.#warm.noteFailure(origin.generationId, error);
      throw error;
    }
  }

  async #start(plan: SandboxPlan, origin: Origin, signal: AbortSignal): Promise<Sandbox> {
    const sandbox = this.#registry.add(plan);
    const request = { origin, env: plan.env, identify: true };
    await this.#registry.locked(sandbox.id, () => this.#registry.start(sandbox, request, signal));
    return sandbox;
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
    const sandbox = this.#registry.running(sandboxId);
    if (sandbox.isDiskFull) throw diskFull(sandboxId);
    const { guest } = sandbox;
    if (!guest) throw wrongPhase(sandboxId, sandbox.entry.phase);
    try {
      return await sandbox.active(() => call(guest));
    } catch (error) {
      // A guest that went away because its sandbox ended or was paused has a better name for it.
      if (sandbox.entry.phase === 'running') throw error;
      const state = findPaused(this.#registry, sandboxId) ? 'PAUSED' : sandbox.entry.phase;
      throw new WrennError(
        Code.FAILED_PRECONDITION,
        'SANDBOX_STATE',
        'the sandbox was paused or ended during the call',
        { metadata: { sandbox_id: sandboxId, state: state.toUpperCase() }, cause: error },
      );
    }
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

  #admit(options: CreateSandboxOptions): void {
    checkSandboxId(options.sandboxId);
    checkTemplateName(options.template);
    checkEnv(options.env);
    const buried = this.#tombstones.generation(options.sandboxId);
    if (buried !== undefined && options.generation <= buried) {
      throw staleGeneration(options.sandboxId, options.generation, buried);
    }
    const isTaken =
      this.#registry.get(options.sandboxId) ??
      this.#host.snapshots.ref('sandbox', options.sandboxId);
    if (isTaken) throw sandboxExists(options.sandboxId);
  }

  /** What the sandbox will be. */
  async #plan(options: CreateSandboxOptions): Promise<SandboxPlan> {
    const { sandboxId, generation, template, vcpus, memoryMb, timeoutSec } = options;
    return {
      ...{ sandboxId, generation, template, vcpus, memoryMb, timeoutSec },
      pauseOnTimeout: options.pauseOnTimeout,
      phase: 'starting',
      createdAtMs: Date.now(),
      ...(options.snapshotId === ''
        ? { images: this.#templateImages(options.template), env: options.env }
        : await this.#fromSnapshot(options)),
    };
  }

  #templateImages(template: string): SandboxImages {
    const images = this.#host.templates.find(template);
    if (!images) throw templateNotFound(template);
    const { rootfsPath, toolsPath, kernel } = images;
    return { rootfsPath, toolsPath, kernelPath: kernel.path, initrdPath: kernel.initrdPath };
  }

  /** Images and variables of a snapshot; variables of the request are put over its own. */
  async #fromSnapshot({ snapshotId, vcpus, memoryMb, env }: CreateSandboxOptions) {
    const snapshot = await findSnapshot(this.#host, snapshotId);
    if (vcpus !== snapshot.vcpus || memoryMb !== snapshot.memoryMb) {
      throw snapshotShape(snapshot.vcpus, snapshot.memoryMb);
    }
    return { images: snapshot.images, env: { ...snapshot.env, ...env } };
  }

  async #origin(
    { snapshotId }: CreateSandboxOptions,
    plan: SandboxPlan,
    signal: AbortSignal,
  ): Promise<Origin> {
    const generationId =
      snapshotId === ''
        ? await this.#warm.generationFor(plan, signal)
        : (await findSnapshot(this.#host, snapshotId)).generationId;
    return generationId === undefined
      ? { kind: 'boot', layers: [] }
      : { kind: 'restore', generationId, clone: true };
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
