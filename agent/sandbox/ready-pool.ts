/**
 * Machines that stand ready: restored from a warm template until their guest
 * answers, and then stopped, so that they take memory and no processor. A
 * create claims one, which spares it the start of a VMM and the guest's first
 * steps. They are for the shape that was asked for last, and give way to
 * sandboxes when the host's memory is needed.
 */
import { delay } from '../../lib/lifecycle/delay.js';
import { machineOf } from './machine.js';
import type { MachineShape, SandboxRegistry } from './registry.js';
import type { Sandbox } from './sandbox.js';

/** Pause after a create before the pool is filled up: the sandbox is at work first. */
export const REFILL_DELAY_MS = 1000;

interface ReadyMachine {
  generationId: string;
  machine: Sandbox;
}

export class ReadyPool {
  readonly #registry: SandboxRegistry;
  readonly #ready: ReadyMachine[] = [];
  #filling: Promise<void> | undefined;

  constructor(registry: SandboxRegistry) {
    this.#registry = registry;
  }

  get size(): number {
    return this.#ready.length;
  }

  /** Takes a machine of this generation out of the pool; undefined when there is none. */
  take(generationId: string): Sandbox | undefined {
    const index = this.#ready.findIndex((each) => each.generationId === generationId);
    if (index < 0) return undefined;
    const [taken] = this.#ready.splice(index, 1);
    // One whose VMM has ended meanwhile is being freed.
    if (taken?.machine.entry.phase !== 'running') return this.take(generationId);
    this.#registry.delete(taken.machine);
    return taken.machine;
  }

  /** Starts filling the pool with machines of this shape, in place of those of others. */
  refill(shape: MachineShape, generationId: string): void {
    const { readyMachinesMax } = this.#registry.host.limits;
    if (readyMachinesMax === 0 || this.#filling) return;
    this.#filling = this.#fill(shape, generationId, readyMachinesMax).finally(() => {
      this.#filling = undefined;
    });
  }

  /** Resolves when the pool is not being filled. */
  async filled(): Promise<void> {
    await this.#filling;
  }

  /** Frees machines until the host has this much memory left, or the pool is empty. */
  async makeRoom(memoryMb: number): Promise<void> {
    while (this.#registry.freeMemoryMb < memoryMb && this.#ready.length > 0) await this.#drop();
  }

  async #fill(shape: MachineShape, generationId: string, sizeMax: number): Promise<void> {
    try {
      await delay(REFILL_DELAY_MS);
      while (this.#ready.some((each) => each.generationId !== generationId)) await this.#drop();
      while (this.#ready.length < sizeMax) await this.#addOne(shape, generationId);
    } catch (error) {
      this.#registry.host.log.warn('no machine could be made ready', { error });
    }
  }

  async #addOne(shape: MachineShape, generationId: string): Promise<void> {
    const machine = this.#registry.addInternal(shape);
    const origin = { kind: 'restore', generationId, clone: true } as const;
    const request = { origin, env: undefined, identify: false };
    await this.#registry.locked(machine.id, () =>
      this.#registry.start(machine, request, new AbortController().signal),
    );
    await machineOf(machine).stop();
    this.#ready.push({ generationId, machine });
    this.#registry.host.log.info('machine stands ready', { sandbox_id: machine.id });
  }

  async #drop(): Promise<void> {
    const dropped = this.#ready.shift();
    if (!dropped) return;
    const { machine } = dropped;
    machine.entry.phase = 'stopping';
    await this.#registry.locked(machine.id, () => this.#registry.finish(machine));
  }
}
