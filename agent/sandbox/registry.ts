/**
 * The sandboxes of this host that have, or had, a machine: their map, their
 * locks, and how they start and end. What works on one sandbox and changes its
 * phase holds its lock; different sandboxes go side by side.
 */
import type { Reason } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { ChangeCounter } from '../../lib/lifecycle/change-counter.js';
import { KeyedLock } from '../../lib/lifecycle/keyed-lock.js';
import { LinkedSignal } from '../../lib/lifecycle/linked-signal.js';
import { Semaphore } from '../../lib/lifecycle/semaphore.js';
import { freeMemoryMb } from './admission.js';
import type { SandboxEntry } from './entry.js';
import { memoryExhausted, sandboxNotFound, shuttingDown, wrongPhase } from './errors.js';
import { freeSandbox } from './free.js';
import { collectGarbage } from './garbage.js';
import type { Host } from './host.js';
import { ImageMarks } from './image-marks.js';
import { checkSandboxId } from './names.js';
import type { RestoreStep } from './restore.js';
import { Sandbox } from './sandbox.js';
import { type PausedSandbox, toPausedSandbox, toRef } from './sandbox-ref.js';
import { type StartRequest, startSandbox } from './start.js';

/** What a new sandbox is, before it has anything. */
export type SandboxPlan = Omit<SandboxEntry, 'phase' | 'guestToken' | 'runDirectory'> & {
  phase: 'starting' | 'resuming';
};

/** What machines of a template can differ in. */
export type MachineShape = Pick<SandboxPlan, 'template' | 'images' | 'vcpus' | 'memoryMb'>;

export class SandboxRegistry {
  readonly host: Host;
  /** Counts every change of what a list of sandboxes shows. */
  readonly changes = new ChangeCounter();
  readonly #sandboxes = new Map<string, Sandbox>();
  readonly #lock = new KeyedLock();
  readonly #starts: Semaphore;
  readonly #closing = new AbortController();
  readonly #ending = new AbortController();
  readonly #images: ImageMarks;
  /** Whether all that sandboxes hold is known, so that the rest is garbage. */
  isWhole = false;
  #collecting: Promise<void> = Promise.resolve();
  #collectAgain = false;

  constructor(host: Host) {
    this.host = host;
    this.#starts = new Semaphore(host.limits.bootsAtOnceMax);
    this.#images = new ImageMarks(host, () => this.all());
  }

  all(): Sandbox[] {
    return [...this.#sandboxes.values()];
  }

  get(sandboxId: string): Sandbox | undefined {
    return this.#sandboxes.get(sandboxId);
  }

  /** Adds a sandbox of an earlier run. */
  adopt(sandbox: Sandbox): void {
    this.#sandboxes.set(sandbox.id, sandbox);
    if (sandbox.machine) this.#watch(sandbox);
  }

  delete(sandbox: Sandbox): void {
    if (this.#sandboxes.get(sandbox.id) === sandbox) this.#sandboxes.delete(sandbox.id);
    this.changes.bump();
  }

  /** Does `work` when nobody else changes the sandbox. */
  locked<T>(sandboxId: string, work: () => Promise<T>): Promise<T> {
    return this.#lock.run(sandboxId, work);
  }

  /** @throws SANDBOX_NOT_FOUND, SANDBOX_STATE */
  running(sandboxId: string): Sandbox {
    checkSandboxId(sandboxId);
    const sandbox = this.#sandboxes.get(sandboxId);
    if (!sandbox) {
      const ref = this.host.snapshots.ref('sandbox', sandboxId);
      if (ref && ref.phase !== 'running') throw wrongPhase(sandboxId, 'paused');
      throw sandboxNotFound(sandboxId);
    }
    if (sandbox.entry.phase !== 'running') {
      throw wrongPhase(sandboxId, sandbox.entry.phase, sandbox.endReason);
    }
    return sandbox;
  }

  /** MiB that no sandbox has taken. */
  get freeMemoryMb(): number {
    return freeMemoryMb(this.host.limits.memoryMbMax, this.all());
  }

  /**
   * Adds a sandbox, under whose id there must be none.
   * @throws HOST_EXHAUSTED
   */
  add(plan: SandboxPlan): Sandbox {
    const freeMb = this.freeMemoryMb;
    if (plan.memoryMb > freeMb) throw memoryExhausted(freeMb);
    const sandbox = new Sandbox({
      ...plan,
      guestToken: randomId(),
      runDirectory: `${this.host.runDirectory}/${plan.sandboxId}`,
    });
    this.#sandboxes.set(sandbox.id, sandbox);
    this.changes.bump();
    return sandbox;
  }

  /** Adds a machine that the agent makes for its own use. @throws HOST_EXHAUSTED */
  addInternal({ template, images, vcpus, memoryMb }: MachineShape): Sandbox {
    return this.add({
      ...{ template, images, vcpus, memoryMb },
      sandboxId: randomId(),
      internal: true,
      generation: 1,
      phase: 'starting',
      timeoutSec: 0,
      pauseOnTimeout: false,
      env: {},
      createdAtMs: Date.now(),
    });
  }

  /** Starts an added sandbox, whose lock the caller holds. One that fails to start is gone again. */
  async start(
    sandbox: Sandbox,
    request: StartRequest,
    signal: AbortSignal,
  ): Promise<RestoreStep[]> {
    const either = AbortSignal.any([signal, sandbox.abortStart.signal, this.#closing.signal]);
    const startedAt = performance.now();
    try {
      await this.#images.update();
      const steps = await this.#starts.run(
        () => startSandbox(this.host, sandbox, request, either),
        either,
      );
      this.#watch(sandbox);
      this.host.log.info('sandbox running', {
        sandbox_id: sandbox.id,
        origin: request.origin.kind,
        duration_ms: Math.round(performance.now() - startedAt),
      });
      return steps;
    } catch (error) {
      if (sandbox.entry.phase !== 'stopping') this.#sandboxes.delete(sandbox.id);
      throw error;
    } finally {
      this.changes.bump();
    }
  }

  /**
   * Ends a running sandbox for a reason that nobody asked for; it is remembered. Never rejects.
   * @param isWanted asked again once the sandbox is held.
   */
  async end(sandbox: Sandbox, reason: Reason, isWanted = () => true): Promise<void> {
    await this.locked(sandbox.id, async () => {
      if (sandbox.entry.phase === 'running' && isWanted()) await this.endHeld(sandbox, reason);
    });
  }

  /** The same for a caller who holds the sandbox's lock. */
  async endHeld(sandbox: Sandbox, reason: Reason): Promise<void> {
    sandbox.entry.phase = 'ended';
    sandbox.entry.endReason = reason;
    this.host.log.info('sandbox ended', { sandbox_id: sandbox.id, reason });
    this.changes.bump();
    await this.finish(sandbox);
  }

  /**
   * Ends a sandbox whose memory turns out to be damaged. One that was paused is what it was then,
   * so that it can be booted from its disk.
   */
  async #endDamaged(sandbox: Sandbox): Promise<void> {
    await this.locked(sandbox.id, async () => {
      const { entry } = sandbox;
      if (entry.phase !== 'running') return;
      const ref = this.host.snapshots.ref('sandbox', sandbox.id);
      if (!ref) return this.endHeld(sandbox, 'SNAPSHOT_DAMAGED');
      const paused: PausedSandbox = {
        ...toPausedSandbox(ref),
        generation: entry.generation,
        pausedAtMs: Date.now(),
        pauseReason: 'SNAPSHOT_DAMAGED',
      };
      entry.phase = 'stopping';
      await this.host.snapshots.setRef(toRef(paused, 'paused'));
      await this.finish(sandbox);
    }).catch((error: unknown) => {
      this.host.log.error('damaged sandbox not ended', { sandbox_id: sandbox.id, error });
    });
  }

  /** Frees a sandbox and forgets it. The caller holds its lock. */
  async stop(sandbox: Sandbox): Promise<void> {
    if (this.#sandboxes.get(sandbox.id) !== sandbox) return;
    sandbox.entry.phase = 'stopping';
    await this.#record(sandbox);
    await freeSandbox(this.host, sandbox);
    await this.host.ledger.remove(sandbox.id);
    this.delete(sandbox);
    this.collectGarbage();
    this.host.log.info('sandbox freed', { sandbox_id: sandbox.id });
  }

  /** Frees what a stopping or ended sandbox still holds; what fails is tried again by the reaper. */
  async finish(sandbox: Sandbox): Promise<void> {
    try {
      if (sandbox.entry.phase === 'stopping') {
        await this.stop(sandbox);
      } else {
        await this.#record(sandbox);
        await freeSandbox(this.host, sandbox);
        await this.#record(sandbox);
      }
    } catch (error) {
      sandbox.noteFreeFailed();
      this.host.log.error('sandbox not freed yet', { sandbox_id: sandbox.id, error });
    }
  }

  /** Starts removing what nothing needs any more; requests that come meanwhile share the next run. */
  collectGarbage(): void {
    if (this.#collectAgain || !this.isWhole) return;
    this.#collectAgain = true;
    this.#collecting = this.#collecting.then(async () => {
      this.#collectAgain = false;
      await collectGarbage(this.host, () => this.all());
      await this.#images.update().catch((error: unknown) => {
        this.host.log.warn('images not marked', { error });
      });
    });
  }

  /** Resolves when no garbage is being collected. */
  collected(): Promise<void> {
    return this.#collecting;
  }

  /** A signal that aborts with another one, and when streams are ended; for one stream. */
  streaming(signal: AbortSignal): LinkedSignal {
    return new LinkedSignal(signal, this.#ending.signal);
  }

  /** Ends all streams with SHUTTING_DOWN. */
  endStreams(): void {
    this.#ending.abort(shuttingDown());
  }

  /** @throws SHUTTING_DOWN */
  requireOpen(): void {
    this.#closing.signal.throwIfAborted();
  }

  /** Undoes starts under way and lets go of the running machines, which go on without the agent. */
  async close(): Promise<void> {
    this.#closing.abort(shuttingDown());
    for (const sandbox of this.all()) {
      await this.locked(sandbox.id, async () => {
        sandbox.guest?.close();
        sandbox.machine?.release();
        await sandbox.memory?.close();
      });
    }
    await this.#collecting;
  }

  #watch(sandbox: Sandbox): void {
    const { machine, memory } = sandbox;
    const closed = () => this.#closing.signal.aborted;
    void machine?.exited.then(async (exit) => {
      // After `close` the machine belongs to the next run of the agent.
      if (exit.kind === 'destroyed' || closed()) return;
      this.host.log.warn('machine exited', { sandbox_id: sandbox.id, detail: exit.detail });
      await this.end(sandbox, 'VMM_EXITED');
    });
    void memory?.failed.then(async (failure) => {
      if (!failure || closed()) return;
      const { message, artifact } = failure;
      this.host.log.error('memory not served', { sandbox_id: sandbox.id, message, artifact });
      if (failure.kind === 'damaged') await this.#endDamaged(sandbox);
      else await this.end(sandbox, 'VMM_FAILED');
    });
    if (machine) {
      machine.onDiskFull = () => {
        this.host.log.warn('sandbox stands still: the disk is full', { sandbox_id: sandbox.id });
        sandbox.isDiskFull = true;
        this.changes.bump();
      };
    }
  }

  /** Notes an end. A full disk must not keep it from happening: recovery copes with an older entry. */
  async #record(sandbox: Sandbox): Promise<void> {
    try {
      await this.host.ledger.put(sandbox.entry);
    } catch (error) {
      this.host.log.warn('end of a sandbox not noted', { sandbox_id: sandbox.id, error });
    }
  }
}
