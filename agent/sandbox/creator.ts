/**
 * Creates sandboxes: checks what is asked for, and chooses what each starts
 * from: a snapshot, a machine that stands ready, a warm template, or a boot.
 */
import { hasReason } from '../../lib/errors/index.js';
import type { SandboxImages } from '../ledger/entry.js';
import { sandboxExists, snapshotShape, staleGeneration, templateNotFound } from './errors.js';
import { checkEnv, checkSandboxId, checkTemplateName } from './names.js';
import type { ReadyPool } from './ready-pool.js';
import type { SandboxPlan, SandboxRegistry } from './registry.js';
import type { Sandbox } from './sandbox.js';
import { findSnapshot } from './snapshots.js';
import type { Origin } from './start.js';
import type { Tombstones } from './tombstones.js';
import { WarmTemplates } from './warm-templates.js';

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

export class SandboxCreator {
  readonly #registry: SandboxRegistry;
  readonly #pool: ReadyPool;
  readonly #tombstones: Tombstones;
  readonly #warm: WarmTemplates;

  constructor(registry: SandboxRegistry, pool: ReadyPool, tombstones: Tombstones) {
    this.#registry = registry;
    this.#pool = pool;
    this.#tombstones = tombstones;
    this.#warm = new WarmTemplates(registry);
  }

  /** Starts a sandbox and resolves when it takes commands; a failed start leaves nothing behind. */
  async create(options: CreateSandboxOptions, signal: AbortSignal): Promise<Sandbox> {
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
      this.#registry.host.log.warn('ready machine not usable', {
        sandbox_id: plan.sandboxId,
        error,
      });
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
      // What lies with the template is no reason to give its user no sandbox.
      if (!hasReason(error, 'SNAPSHOT_DAMAGED', 'SNAPSHOT_INCOMPATIBLE')) throw error;
      return this.#start(plan, { kind: 'boot', layers: [] }, signal);
    }
  }

  async #start(plan: SandboxPlan, origin: Origin, signal: AbortSignal): Promise<Sandbox> {
    const sandbox = this.#registry.add(plan);
    const request = { origin, env: plan.env, identify: true };
    await this.#registry.locked(sandbox.id, () => this.#registry.start(sandbox, request, signal));
    return sandbox;
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
      this.#registry.host.snapshots.ref('sandbox', options.sandboxId);
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
    const images = this.#registry.host.templates.find(template);
    if (!images) throw templateNotFound(template);
    const { rootfsPath, toolsPath, kernel } = images;
    return { rootfsPath, toolsPath, kernelPath: kernel.path, initrdPath: kernel.initrdPath };
  }

  /** Images and variables of a snapshot; variables of the request are put over its own. */
  async #fromSnapshot({ snapshotId, vcpus, memoryMb, env }: CreateSandboxOptions) {
    const snapshot = await findSnapshot(this.#registry.host, snapshotId);
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
        : (await findSnapshot(this.#registry.host, snapshotId)).generationId;
    return generationId === undefined
      ? { kind: 'boot', layers: [] }
      : { kind: 'restore', generationId, clone: true };
  }
}
