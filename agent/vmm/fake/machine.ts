/** A machine without a VMM: its guest daemon, its console, and how it ended. */
import { rm } from 'node:fs/promises';
import type { FaultPlan } from '../../../lib/faults/fault-plan.js';
import type { Machine, MachineExit, MachineRecord } from '../driver.js';
import { FakeEnvd } from './envd.js';

export interface FakeMachineOptions {
  record: MachineRecord;
  socketPath: string;
  faults: FaultPlan;
  /** Called once, when the machine has ended. */
  onEnd: () => void;
}

export class FakeMachine implements Machine {
  readonly record: MachineRecord;
  readonly guestTarget: string;
  readonly exited: Promise<MachineExit>;
  readonly #options: FakeMachineOptions;
  readonly #envd: FakeEnvd;
  #boot: NodeJS.Timeout | undefined;
  #console = '';
  #ended = false;
  #resolveExit: (exit: MachineExit) => void = () => undefined;

  constructor(options: FakeMachineOptions) {
    this.#options = options;
    this.record = options.record;
    this.guestTarget = options.record.guestTarget;
    this.#envd = new FakeEnvd(options.faults);
    this.exited = new Promise((resolve) => {
      this.#resolveExit = resolve;
    });
  }

  /** Lets the guest's boot take its time; the daemon answers afterwards. */
  start(bootMs: number): void {
    this.#console += 'fake kernel: booting\n';
    this.#boot = setTimeout(() => void this.#finishBoot(), bootMs);
  }

  async readConsole(): Promise<string> {
    return this.#console;
  }

  async destroy(): Promise<void> {
    await this.#options.faults.reach('driver.destroy');
    await this.end({ kind: 'destroyed', detail: 'destroyed' });
  }

  release(): void {
    // The machine runs on: nothing of it belongs to who lets go.
  }

  /** Ends the machine, as the kill of its VMM would. Idempotent. */
  async end(exit: MachineExit): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#boot);
    this.#envd.close();
    await rm(this.#options.socketPath, { force: true });
    this.#options.onEnd();
    this.#resolveExit(exit);
  }

  /** Makes the guest answer nothing any more, while its connections stay open. */
  hang(): void {
    this.#envd.hang();
  }

  async #finishBoot(): Promise<void> {
    try {
      await this.#envd.listen(this.#options.socketPath);
      this.#console += 'fake init: envd started\n';
      if (this.#ended) this.#envd.close();
    } catch (error) {
      await this.end({ kind: 'exited', detail: `fake boot failed: ${String(error)}` });
    }
  }
}
