/** A machine without a VMM: guest daemon, memory, disk, console, and how it ended. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FaultPlan, FaultStep } from '../../../lib/faults/fault-plan.js';
import type {
  Machine,
  MachineExit,
  MachineMemory,
  MachineRecord,
  MachineSpec,
  RestoreSpec,
} from '../driver.js';
import { readDeviceState, writeDeviceState } from './device-state.js';
import { FakeDisk } from './disk.js';
import { FakeEnvd } from './envd.js';
import { vmmFailure } from './failure.js';
import { readGuest, writeGuest } from './guest-memory.js';
import { MemoryImage } from './memory-image.js';

const MEMORY_FILE = 'memory.fake';
const BYTES_PER_MIB = 1024 * 1024;

export interface FakeMachineOptions {
  spec: MachineSpec;
  record: MachineRecord;
  socketPath: string;
  faults: FaultPlan;
  /** Milliseconds that a boot takes, also the rest of one that was interrupted by a snapshot. */
  bootMs: number;
  /** Milliseconds from a restore to a guest daemon that answers. */
  restoreMs: number;
  /** Called once, when the machine has ended. */
  onEnd: () => void;
}

export class FakeMachine implements Machine {
  readonly record: MachineRecord;
  readonly guestTarget: string;
  readonly exited: Promise<MachineExit>;
  onDiskFull: (() => void) | undefined = undefined;
  readonly #options: FakeMachineOptions;
  readonly #memoryPath: string;
  readonly #disk: FakeDisk;
  readonly #envd: FakeEnvd;
  #memory: MemoryImage | undefined;
  #bootTimer: NodeJS.Timeout | undefined;
  #booted = false;
  #running = false;
  #hangs = false;
  #ended = false;
  #console = '';
  /** The end of the last piece of work: a VMM does one after the other. */
  #lastWork: Promise<unknown> = Promise.resolve();
  #resolveExit: (exit: MachineExit) => void = () => undefined;

  constructor(options: FakeMachineOptions) {
    const { spec, record, faults } = options;
    this.#options = options;
    this.record = record;
    this.guestTarget = record.guestTarget;
    this.#memoryPath = join(spec.runDirectory, MEMORY_FILE);
    this.#disk = new FakeDisk(spec.rootfs);
    this.#envd = new FakeEnvd(faults, this.#disk);
    this.exited = new Promise((resolve) => {
      this.#resolveExit = resolve;
    });
  }

  /** Lets the guest's boot begin; the daemon answers when it is done. */
  async boot(): Promise<void> {
    await this.#inTurn(async () => {
      this.#memory = await MemoryImage.create(this.#memoryPath, this.#memoryBytes);
      this.#envd.mountFiles(await this.#disk.readAll());
      this.#console += 'fake kernel: booting\n';
      this.#resumeGuest(this.#options.bootMs);
    });
  }

  /** Makes the machine what another one was, and lets it run. */
  async restore({ statePath, memory }: RestoreSpec): Promise<void> {
    await this.#inTurn(async () => {
      if (memory.kind !== 'file') throw new Error('a fake machine takes no page faults');
      const { booted } = await readDeviceState(statePath, this.#options.spec);
      this.#memory = await MemoryImage.copy(memory.path, this.#memoryPath, this.#memoryBytes);
      this.#envd.importState(await readGuest(this.#memory));
      this.#envd.mountFiles(await this.#disk.readAll());
      this.#console += 'fake devices: restored\n';
      this.#resumeGuest(booted ? this.#options.restoreMs : this.#options.bootMs);
    });
  }

  stop(): Promise<void> {
    return this.#do('driver.stop', () => this.#stopGuest());
  }

  run(): Promise<void> {
    return this.#do('driver.run', async () => {
      if (!this.#running) this.#resumeGuest(this.#options.bootMs);
    });
  }

  saveState(path: string): Promise<void> {
    return this.#do('driver.save_state', async () => {
      this.#requireStopped();
      const { vcpus, memoryMb } = this.#options.spec;
      await writeDeviceState(path, { vcpus, memoryMb, booted: this.#booted });
    });
  }

  locateMemory(): Promise<MachineMemory> {
    return this.#do('driver.locate_memory', async () => {
      this.#requireStopped();
      return { kind: 'memfd', path: this.#memoryPath };
    });
  }

  async diskPath(): Promise<string> {
    return this.#disk.path;
  }

  switchDisk({ path }: { path: string; format: 'qcow2' | 'raw' }): Promise<void> {
    return this.#do('driver.switch_disk', async () => {
      this.#requireStopped();
      this.#disk.switchTo(path);
    });
  }

  async readConsole(): Promise<string> {
    return this.#console;
  }

  async destroy(): Promise<void> {
    await this.#options.faults.reach('driver.destroy');
    await this.end({ kind: 'destroyed', detail: 'destroyed' });
  }

  /** The machine goes on as it is: nothing of it belongs to who lets go. */
  release(): void {
    this.onDiskFull = undefined;
  }

  /** Ends the machine, as the kill of its VMM would. Idempotent. */
  async end(exit: MachineExit): Promise<void> {
    if (!this.#ended) {
      this.#ended = true;
      clearTimeout(this.#bootTimer);
      this.#envd.close();
      this.#options.onEnd();
      this.#resolveExit(exit);
    }
    await this.#inTurn(async () => {
      for (const path of [this.#options.socketPath, this.#memoryPath]) {
        await rm(path, { force: true });
      }
    });
  }

  /** Makes the VMM and the guest answer nothing any more, while their connections stay open. */
  hang(): void {
    this.#hangs = true;
    this.#envd.hang();
  }

  /** Stops the machine as a VMM does whose host has no room for a write. */
  async diskFull(): Promise<void> {
    await this.#inTurn(() => this.#stopGuest());
    this.onDiskFull?.();
  }

  get #memoryBytes(): number {
    return this.#options.spec.memoryMb * BYTES_PER_MIB;
  }

  #resumeGuest(bootMs: number): void {
    this.#running = true;
    this.#envd.thaw();
    if (!this.#booted) this.#bootTimer = setTimeout(() => void this.#finishBoot(), bootMs);
  }

  async #stopGuest(): Promise<void> {
    this.#running = false;
    clearTimeout(this.#bootTimer);
    this.#envd.freeze();
    await this.#disk.flush();
    if (this.#memory) await writeGuest(this.#memory, this.#envd.exportState());
  }

  async #finishBoot(): Promise<void> {
    this.#booted = true;
    try {
      await this.#envd.listen(this.#options.socketPath);
      this.#console += 'fake init: envd started\n';
      if (this.#ended) this.#envd.close();
    } catch (error) {
      await this.end({ kind: 'exited', detail: `fake boot failed: ${String(error)}` });
    }
  }

  #requireStopped(): void {
    if (this.#running) throw new Error('the machine runs');
  }

  /** A call of the VMM that can be made to fail. @throws WrennError VMM_FAILED. */
  async #do<Result>(step: FaultStep, work: () => Promise<Result>): Promise<Result> {
    try {
      await this.#options.faults.reach(step);
      return await this.#inTurn(() => {
        if (this.#ended || this.#hangs) throw new Error('the VMM does not answer');
        return work();
      });
    } catch (error) {
      throw vmmFailure(error, 'the virtual machine monitor did not do as it was told');
    }
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#lastWork.then(work);
    this.#lastWork = result.catch(() => undefined);
    return result;
  }
}
