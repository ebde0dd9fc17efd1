/**
 * All sandboxes of this host. Calls on one sandbox that change its phase run
 * one after another; calls on different ones run side by side.
 */
import { join } from 'node:path';
import { Code, type Reason, WrennError } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { ChangeCounter } from '../../lib/lifecycle/change-counter.js';
import { KeyedLock } from '../../lib/lifecycle/keyed-lock.js';
import { Semaphore } from '../../lib/lifecycle/semaphore.js';
import type { GuestClient } from '../guest/guest-client.js';
import { freeMemoryMb } from './admission.js';
import { createSandbox } from './create.js';
import type { SandboxEntry } from './entry.js';
import {
  deletedWhileStarting,
  memoryExhausted,
  sandboxExists,
  sandboxNotFound,
  shuttingDown,
  staleGeneration,
  templateNotFound,
  wrongPhase,
} from './errors.js';
import { freeSandbox } from './free.js';
import type { Host } from './host.js';
import { checkEnv, checkSandboxId, checkTemplateName } from './names.js';
import { recoverSandboxes } from './recover.js';
import { Sandbox } from './sandbox.js';
import { sweepHost } from './sweep.js';
import { Tombstones } from './tombstones.js';

/** How often timeouts are looked at. */
const REAP_INTERVAL_MS = 1000;
/** Sandboxes that are ended or freed side by side. */
const REAPS_AT_ONCE_MAX = 16;

export interface CreateSandboxOptions {
  sandboxId: string;
  generation: number;
  template: string;
  vcpus: number;
  memoryMb: number;
  timeoutSec: number;
  env: Record<string, string>;
}

export class SandboxManager {
  readonly #host: Host;
  readonly #sandboxes = new Map<string, Sandbox>();
  readonly #lock = new KeyedLock();
  readonly #boots: Semaphore;
  readonly #tombstones = new Tombstones();
  readonly #reaper: NodeJS.Timeout;
  /** Sandboxes that the reaper is working on. */
  readonly #reaping = new Set<string>();
  readonly #reaps = new Semaphore(REAPS_AT_ONCE_MAX);
  readonly #closing = new AbortController();
  #recovered: Promise<void>;
  #recoveryComplete = false;
  /** Counts every change of what `list` returns. */
  readonly changes = new ChangeCounter();

  constructor(host: Host) {
    this.#host = host;
    this.#boots = new Semaphore(host.limits.bootsAtOnceMax);
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

  /** All sandboxes, and those that ended by themselves until `destroy` acknowledges them. */
  list(): Sandbox[] {
    return [...this.#sandboxes.values()];
  }

  get memoryMbUsed(): number {
    return this.#host.limits.memoryMbMax - freeMemoryMb(this.#host.limits.memoryMbMax, this.list());
  }

  get memoryMbMax(): number {
    return this.#host.limits.memoryMbMax;
  }

  /** Boots a sandbox and resolves when it takes commands; a failed boot leaves nothing behind. */
  async create(options: CreateSandboxOptions, signal: AbortSignal): Promise<Sandbox> {
    await this.#ready(signal);
    const images = this.#admit(options);
    const sandbox = new Sandbox(this.#newEntry(options));
    this.#sandboxes.set(sandbox.id, sandbox);
    const either = AbortSignal.any([signal, sandbox.abortBoot.signal, this.#closing.signal]);
    await this.#lock.run(sandbox.id, async () => {
      try {
        await this.#boots.run(
          () => createSandbox(this.#host, sandbox, { images, env: options.env }, either),
          either,
        );
        this.#watch(sandbox);
      } catch (error) {
        if (sandbox.entry.phase !== 'stopping') this.#sandboxes.delete(sandbox.id);
        throw error;
      } finally {
        this.changes.bump();
      }
    });
    this.#host.log.info('sandbox running', {
      sandbox_id: sandbox.id,
      duration_ms: Date.now() - sandbox.entry.createdAtMs,
    });
    return sandbox;
  }

  /** Ends a sandbox and frees all it holds. An unknown one is no error. Wins over a boot under way. */
  async destroy(sandboxId: string, generation: number): Promise<void> {
    checkSandboxId(sandboxId);
    await this.#ready();
    this.#tombstones.add(sandboxId, generation);
    const sandbox = this.#sandboxes.get(sandboxId);
    if (!sandbox) return;
    if (generation < sandbox.entry.generation) {
      throw staleGeneration(sandboxId, generation, sandbox.entry.generation);
    }
    sandbox.abortBoot.abort(deletedWhileStarting(sandboxId));
    await this.#lock.run(sandboxId, () => this.#stop(sandbox));
  }

  /** Counts as activity. */
  async ping(sandboxId: string): Promise<Sandbox> {
    const sandbox = await this.#running(sandboxId);
    sandbox.touch();
    return sandbox;
  }

  /** Gives `call` the guest of a running sandbox; the whole call counts as activity. */
  async withGuest<T>(sandboxId: string, call: (guest: GuestClient) => Promise<T>): Promise<T> {
    const sandbox = await this.#running(sandboxId);
    const { guest } = sandbox;
    if (!guest) throw wrongPhase(sandboxId, sandbox.entry.phase);
    try {
      return await sandbox.active(() => call(guest));
    } catch (error) {
      // A guest that went away because its sandbox ended has a better name for it.
      if (sandbox.entry.phase === 'running') throw error;
      throw new WrennError(
        Code.FAILED_PRECONDITION,
        'SANDBOX_STATE',
        'the sandbox ended during the call',
        {
          metadata: { sandbox_id: sandboxId, state: sandbox.entry.phase.toUpperCase() },
          cause: error,
        },
      );
    }
  }

  /** Undoes boots under way and lets go of the running machines, which go on without the agent. */
  async close(): Promise<void> {
    this.#closing.abort(shuttingDown());
    clearInterval(this.#reaper);
    await this.#recovered.catch(() => undefined);
    for (const sandbox of this.list()) {
      await this.#lock.run(sandbox.id, async () => {
        sandbox.guest?.close();
        sandbox.machine?.release();
      });
    }
  }

  async #recover(): Promise<void> {
    const { sandboxes, isWhole } = await recoverSandboxes(this.#host);
    for (const sandbox of sandboxes) {
      this.#sandboxes.set(sandbox.id, sandbox);
      if (sandbox.machine) this.#watch(sandbox);
    }
    if (isWhole) await sweepHost(this.#host, sandboxes);
    this.#recoveryComplete = true;
    this.changes.bump();
  }

  async #ready(signal?: AbortSignal): Promise<void> {
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason;
    await this.#recovered;
    signal?.throwIfAborted();
  }

  #admit(options: CreateSandboxOptions) {
    checkSandboxId(options.sandboxId);
    checkTemplateName(options.template);
    checkEnv(options.env);
    const buried = this.#tombstones.generation(options.sandboxId);
    if (buried !== undefined && options.generation <= buried) {
      throw staleGeneration(options.sandboxId, options.generation, buried);
    }
    if (this.#sandboxes.has(options.sandboxId)) throw sandboxExists(options.sandboxId);
    const images = this.#host.templates.find(options.template);
    if (!images) throw templateNotFound(options.template);
    const freeMb = freeMemoryMb(this.#host.limits.memoryMbMax, this.list());
    if (options.memoryMb > freeMb) throw memoryExhausted(freeMb);
    return images;
  }

  #newEntry(options: CreateSandboxOptions): SandboxEntry {
    const { sandboxId, generation, template, vcpus, memoryMb, timeoutSec } = options;
    return {
      sandboxId,
      generation,
      template,
      vcpus,
      memoryMb,
      timeoutSec,
      phase: 'starting',
      createdAtMs: Date.now(),
      guestToken: randomId(),
      runDirectory: join(this.#host.runDirectory, sandboxId),
      stateDirectory: join(this.#host.stateDirectory, sandboxId),
    };
  }

  #watch(sandbox: Sandbox): void {
    void sandbox.machine?.exited.then(async (exit) => {
      // After `close` the machine belongs to the next run of the agent.
      if (exit.kind === 'destroyed' || this.#closing.signal.aborted) return;
      this.#host.log.warn('machine exited', { sandbox_id: sandbox.id, detail: exit.detail });
      await this.#end(sandbox, 'VMM_EXITED');
    });
  }

  async #running(sandboxId: string): Promise<Sandbox> {
    checkSandboxId(sandboxId);
    await this.#ready();
    const sandbox = this.#sandboxes.get(sandboxId);
    if (!sandbox) throw sandboxNotFound(sandboxId);
    if (sandbox.entry.phase !== 'running') {
      throw wrongPhase(sandboxId, sandbox.entry.phase, sandbox.endReason);
    }
    return sandbox;
  }

  /**
   * Ends every sandbox whose timeout has passed, and tries again what could not
   * be freed. It only starts the work: one slow end must not hold up another's.
   */
  #reap(): void {
    if (!this.#recoveryComplete) return;
    for (const sandbox of this.list()) {
      if (sandbox.expired()) this.#reapOne(sandbox, () => this.#end(sandbox, 'SANDBOX_TIMEOUT'));
      else if (sandbox.needsFreeing()) {
        this.#reapOne(sandbox, () => this.#lock.run(sandbox.id, () => this.#finish(sandbox)));
      }
    }
  }

  #reapOne(sandbox: Sandbox, work: () => Promise<void>): void {
    if (this.#reaping.has(sandbox.id)) return;
    this.#reaping.add(sandbox.id);
    void this.#reaps.run(work).finally(() => this.#reaping.delete(sandbox.id));
  }

  /** Ends a running sandbox for a reason that nobody asked for; it is remembered. Never rejects. */
  async #end(sandbox: Sandbox, reason: Reason): Promise<void> {
    await this.#lock.run(sandbox.id, async () => {
      if (sandbox.entry.phase !== 'running') return;
      if (reason === 'SANDBOX_TIMEOUT' && !sandbox.expired()) return;
      sandbox.entry.phase = 'ended';
      sandbox.entry.endReason = reason;
      this.#host.log.info('sandbox ended', { sandbox_id: sandbox.id, reason });
      this.changes.bump();
      await this.#finish(sandbox);
    });
  }

  async #stop(sandbox: Sandbox): Promise<void> {
    if (this.#sandboxes.get(sandbox.id) !== sandbox) return;
    sandbox.entry.phase = 'stopping';
    await this.#record(sandbox);
    await freeSandbox(this.#host, sandbox);
    await this.#host.ledger.remove(sandbox.id);
    this.#sandboxes.delete(sandbox.id);
    this.changes.bump();
    this.#host.log.info('sandbox destroyed', { sandbox_id: sandbox.id });
  }

  /** Notes an end. A full disk must not keep it from happening: recovery copes with an older entry. */
  async #record(sandbox: Sandbox): Promise<void> {
    try {
      await this.#host.ledger.put(sandbox.entry);
    } catch (error) {
      this.#host.log.warn('end of a sandbox not noted', { sandbox_id: sandbox.id, error });
    }
  }

  /** Frees what a stopping or ended sandbox still holds; what fails is tried again by the reaper. */
  async #finish(sandbox: Sandbox): Promise<void> {
    try {
      if (sandbox.entry.phase === 'stopping') {
        await this.#stop(sandbox);
      } else {
        await this.#record(sandbox);
        await freeSandbox(this.#host, sandbox);
        await this.#record(sandbox);
      }
    } catch (error) {
      sandbox.noteFreeFailed();
      this.#host.log.error('sandbox not freed yet', { sandbox_id: sandbox.id, error });
    }
  }
}
