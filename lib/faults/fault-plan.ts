/**
 * What the fakes of VMM, memory, network, root disk and snapshots do wrong, and when. They tell
 * the plan each step that they reach; a test that wants to see every failure
 * loops over FAULT_STEPS.
 */
import { delay } from '../lifecycle/delay.js';

/** Every step, in the order in which a sandbox's life reaches them. */
export const FAULT_STEPS = [
  'network.acquire',
  'network.acquire.recorded',
  'rootfs.create',
  'driver.boot',
  'driver.boot.recorded',
  'driver.boot.started',
  'memory.serve',
  'driver.restore',
  'driver.restore.recorded',
  'driver.restore.started',
  'guest.health',
  'guest.post_init',
  'guest.post_restore',
  'guest.start',
  'guest.launch',
  'guest.attach',
  'guest.list_processes',
  'guest.signal',
  'guest.input',
  'guest.close_stdin',
  'guest.resize',
  'guest.write_file',
  'guest.read_file',
  'guest.stream_write',
  'guest.stream_read',
  'guest.stat',
  'guest.list_dir',
  'guest.make_dir',
  'guest.move',
  'guest.remove',
  'guest.watch',
  'driver.stop',
  'driver.save_state',
  'driver.locate_memory',
  'snapshot.begin',
  'snapshot.memory',
  'rootfs.seal',
  'snapshot.seal',
  'snapshot.ref',
  'driver.switch_disk',
  'driver.run',
  'rootfs.merge',
  'snapshot.consolidate',
  'driver.recover',
  'memory.adopt',
  'network.adopt',
  'driver.destroy',
  'driver.discard',
  'memory.close',
  'rootfs.destroy',
  'network.release',
  'driver.sweep',
  'network.sweep',
  'snapshot.collect',
  'rootfs.collect',
] as const;

export type FaultStep = (typeof FAULT_STEPS)[number];

/** What a step throws for which the test names no error. */
export class InjectedFault extends Error {
  override readonly name = 'InjectedFault';

  constructor(step: FaultStep) {
    super(`injected fault at ${step}`);
  }
}

interface Fault {
  delayMs: number;
  error: unknown;
}

export class FaultPlan {
  readonly #faults = new Map<FaultStep, Fault[]>();
  readonly #reached = new Map<FaultStep, number>();
  #deadly: { step: FaultStep; died: () => void } | undefined;
  #isDead = false;

  /** Makes the step fail when it is next reached and has no fault yet; repeated calls add up. */
  failNext(step: FaultStep, error: unknown = new InjectedFault(step)): void {
    this.#add(step, { delayMs: 0, error });
  }

  /** Makes the step take longer when it is next reached; repeated calls add up. */
  delayNext(step: FaultStep, delayMs: number): void {
    this.#add(step, { delayMs, error: undefined });
  }

  /**
   * Makes the step, and every step after it, take for ever, as if the process that goes through
   * them had been killed there.
   * @returns resolves when the step is reached.
   */
  dieAt(step: FaultStep): Promise<void> {
    return new Promise((died) => {
      this.#deadly = { step, died };
    });
  }

  /** Lets whoever comes from now on go through; who was caught stays so. */
  revive(): void {
    this.#deadly = undefined;
    this.#isDead = false;
  }

  /** Faults that no step has taken yet. */
  get pending(): FaultStep[] {
    return [...this.#faults].flatMap(([step, faults]) => faults.map(() => step));
  }

  /** How often the step has been reached. */
  timesReached(step: FaultStep): number {
    return this.#reached.get(step) ?? 0;
  }

  /** Called by a fake at each of its steps: waits, throws, or does nothing, as planned. */
  async reach(step: FaultStep, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#reached.set(step, this.timesReached(step) + 1);
    if (this.#isDead || this.#deadly?.step === step) return this.#die();
    const fault = this.#faults.get(step)?.shift();
    if (!fault) return;
    if (this.#faults.get(step)?.length === 0) this.#faults.delete(step);
    if (fault.delayMs > 0) await delay(fault.delayMs, signal);
    if (fault.error !== undefined) throw fault.error;
  }

  #die(): Promise<never> {
    this.#isDead = true;
    this.#deadly?.died();
    return new Promise(() => undefined);
  }

  #add(step: FaultStep, fault: Fault): void {
    this.#faults.set(step, [...(this.#faults.get(step) ?? []), fault]);
  }
}
