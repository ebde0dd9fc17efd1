/**
 * Warm templates: a machine of a template, booted once, used a little, so that
 * what every command needs is in its memory, and frozen. A create restores it
 * under a new name and token, which takes a part of the time of
 * a boot. What it is frozen from is in its key, so that anything else, such as
 * another memory size or newer images, makes another one.
 */
import { createHash } from 'node:crypto';
import { hasReason, type Reason } from '../../lib/errors/index.js';
import type { GuestCommand } from '../guest/guest-client.js';
import { captureGeneration } from './capture.js';
import { freeSandbox } from './free.js';
import type { MachineShape, SandboxRegistry } from './registry.js';
import type { Sandbox } from './sandbox.js';
import { StepTimes } from './step-times.js';

/** Hexadecimal digits of a key: 128 bits. */
const KEY_LENGTH = 32;
/** After so many the next one takes no less time. */
const WARM_UP_COMMANDS = 3;
const WARM_UP_COMMAND: GuestCommand = {
  ...{ cmd: 'true', args: [], env: {}, cwd: '', user: '' },
  ...{ timeoutSec: 30, stdin: Buffer.alloc(0) },
};
/** Errors of a restore that lie with what is restored, and not with the host or the caller. */
const RESTORE_FAULTS: readonly Reason[] = [
  'SNAPSHOT_DAMAGED',
  'SNAPSHOT_INCOMPATIBLE',
  'VMM_FAILED',
  'VMM_EXITED',
  'BOOT_TIMEOUT',
  'GUEST_UNREACHABLE',
  'RESTORE_FAILED',
];

export class WarmTemplates {
  readonly #registry: SandboxRegistry;
  readonly #building = new Map<string, Promise<string>>();
  readonly #usedAt = new Map<string, number>();

  constructor(registry: SandboxRegistry) {
    this.#registry = registry;
  }

  /**
   * Generation to start a sandbox of this shape from. If there is none it is made, once for all
   * who ask meanwhile.
   * @returns undefined when it cannot be made: boot instead.
   */
  async generationFor(shape: MachineShape, signal: AbortSignal): Promise<string | undefined> {
    const { host } = this.#registry;
    if (host.limits.warmTemplatesMax === 0) return undefined;
    const key = await this.#key(shape);
    this.#usedAt.set(key, performance.now());
    const ref = host.snapshots.ref('warm', key);
    if (ref) return ref.generationId;
    try {
      return await untilAborted(this.#buildOnce(key, shape), signal);
    } catch (error) {
      signal.throwIfAborted();
      host.log.warn('no warm template could be made', { template: shape.template, error });
      return undefined;
    }
  }

  /** Gives up one that cannot be restored, which would fail every create; the next one makes another. */
  async noteFailure(generationId: string, error: unknown): Promise<void> {
    if (!hasReason(error, ...RESTORE_FAULTS)) return;
    const { host } = this.#registry;
    host.log.warn('warm template given up', { generation_id: generationId, error });
    for (const { name, generationId: id } of host.snapshots.refs('warm')) {
      if (id === generationId) await host.snapshots.removeRef('warm', name);
    }
    this.#registry.collectGarbage();
  }

  #buildOnce(key: string, shape: MachineShape): Promise<string> {
    const building =
      this.#building.get(key) ?? this.#build(key, shape).finally(() => this.#building.delete(key));
    this.#building.set(key, building);
    return building;
  }

  /** Nobody's request: one caller that goes away must not take it from the others. */
  async #build(key: string, shape: MachineShape): Promise<string> {
    const { host } = this.#registry;
    host.log.info('making a warm template', { template: shape.template, shape: key });
    const machine = this.#registry.addInternal(shape);
    return this.#registry.locked(machine.id, async () => {
      const origin = { kind: 'boot', layers: [] } as const;
      const request = { origin, env: undefined, identify: true };
      await this.#registry.start(machine, request, new AbortController().signal);
      try {
        await warmUp(machine);
        return await this.#freeze(key, machine);
      } finally {
        await this.#free(machine);
        await this.#evict();
      }
    });
  }

  async #freeze(key: string, machine: Sandbox): Promise<string> {
    const { host } = this.#registry;
    const times = new StepTimes();
    const generationId = await captureGeneration(host, machine, {
      goesOn: false,
      times,
      commit: (id) =>
        host.snapshots.setRef({
          kind: 'warm',
          name: key,
          generationId: id,
          phase: 'paused',
          updatedAtMs: Date.now(),
          details: { template: machine.entry.template },
        }),
    });
    // Its layer is the generation's from now on.
    delete machine.entry.rootfs;
    host.log.info('warm template made', {
      template: machine.entry.template,
      shape: key,
      ...times.fields(),
    });
    return generationId;
  }

  /** What cannot be freed now the reaper frees. */
  async #free(machine: Sandbox): Promise<void> {
    const { host } = this.#registry;
    machine.entry.phase = 'stopping';
    try {
      await host.ledger.put(machine.entry);
      await freeSandbox(host, machine);
      await host.ledger.remove(machine.id);
      this.#registry.delete(machine);
    } catch (error) {
      machine.noteFreeFailed();
      host.log.error('machine of a template not freed yet', { sandbox_id: machine.id, error });
    }
  }

  async #evict(): Promise<void> {
    const { host } = this.#registry;
    const usedAt = (key: string) => this.#usedAt.get(key) ?? 0;
    const oldestFirst = host.snapshots
      .refs('warm')
      .sort((a, b) => usedAt(a.name) - usedAt(b.name) || a.updatedAtMs - b.updatedAtMs);
    for (const { name } of oldestFirst.slice(0, -host.limits.warmTemplatesMax)) {
      await host.snapshots.removeRef('warm', name);
    }
    this.#registry.collectGarbage();
  }

  async #key({ template, images, vcpus, memoryMb }: MachineShape): Promise<string> {
    const machine = await this.#registry.host.driver.kind();
    // The names of images carry their content hashes.
    const content = JSON.stringify([template, images, vcpus, memoryMb, Object.entries(machine)]);
    return createHash('sha256').update(content).digest('hex').slice(0, KEY_LENGTH);
  }
}

/** Lets the guest do what the first command of every sandbox needs, and nothing that leaves a trace. */
async function warmUp({ guest }: Sandbox): Promise<void> {
  for (let command = 0; command < WARM_UP_COMMANDS; command += 1) {
    await guest?.exec(WARM_UP_COMMAND, new AbortController().signal);
  }
}

/** Waits for shared work; who stops waiting does not stop the work. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
