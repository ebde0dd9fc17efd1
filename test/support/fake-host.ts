/**
 * A sandbox manager on fakes, in a folder of its own: the state machine, the
 * ledger and the rollbacks are real, and every step below can be made to fail.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Ledger } from '../../agent/ledger/ledger.js';
import { type FakeParts, fakeParts } from '../../agent/parts/fake.js';
import type { CreateSandboxOptions } from '../../agent/sandbox/creator.js';
import type { Host, HostLimits } from '../../agent/sandbox/host.js';
import { type ListedSandbox, SandboxManager } from '../../agent/sandbox/manager.js';
import type { Sandbox } from '../../agent/sandbox/sandbox.js';
import type { PausedSandbox } from '../../agent/sandbox/sandbox-ref.js';
import { openSnapshotStore } from '../../agent/snapshot/open-store.js';
import { snapshotsFolder } from '../../agent/state-folders.js';
import { FaultPlan } from '../../lib/faults/fault-plan.js';
import { silentLog } from '../../lib/log/log.js';
import { temporaryDirectory } from './temporary-directory.js';

const LIMITS: HostLimits = {
  memoryMbMax: 1_000_000,
  bootsAtOnceMax: 1000,
  bootTimeoutMs: 5000,
  warmTemplatesMax: 0,
  readyMachinesMax: 0,
};

export class FakeHost implements AsyncDisposable {
  readonly faults: FaultPlan;
  readonly parts: FakeParts;
  readonly host: Host;
  readonly #removeDirectory: () => Promise<void>;
  manager: SandboxManager;

  private constructor(
    host: Host,
    parts: FakeParts,
    faults: FaultPlan,
    removeDirectory: () => Promise<void>,
  ) {
    this.host = host;
    this.parts = parts;
    this.faults = faults;
    this.#removeDirectory = removeDirectory;
    this.manager = new SandboxManager(host);
  }

  /** Without warm templates, unless the limits ask for some. */
  static async open(limits: Partial<HostLimits> = {}): Promise<FakeHost> {
    const directory = await temporaryDirectory();
    const faults = new FaultPlan();
    const runDirectory = join(directory.path, 'run');
    const stateDirectory = join(directory.path, 'state');
    await mkdir(runDirectory);
    await mkdir(stateDirectory);
    const snapshots = await openSnapshotStore(snapshotsFolder(stateDirectory), {
      log: silentLog,
      faults,
    });
    const parts = fakeParts({ fakeBootMs: 1, stateDirectory, faults });
    const host = {
      ...parts,
      log: silentLog,
      ledger: await Ledger.open(join(directory.path, 'ledger')),
      snapshots,
      limits: { ...LIMITS, ...limits },
      runDirectory,
      stateDirectory,
    };
    return new FakeHost(host, parts, faults, directory.remove);
  }

  /** What a stop and a new start of the agent do: memory is lost, machines go on. */
  async restart(): Promise<void> {
    await this.manager.close();
    await this.takeOver();
  }

  /** Starts another agent on the same host; the one before it must be closed, or dead by `faults.dieAt`. */
  async takeOver(): Promise<void> {
    const { log } = this.host;
    // Holds are lost with the process: the new one reads what is on disk.
    this.host.snapshots = await openSnapshotStore(this.host.snapshots.folder, {
      log,
      faults: this.faults,
    });
    this.manager = new SandboxManager(this.host);
    await this.manager.recovered();
  }

  /** The sandboxes that have a machine, or ended by themselves. */
  live(): Sandbox[] {
    return this.manager.list().flatMap((each) => (each.kind === 'live' ? [each.sandbox] : []));
  }

  paused(): PausedSandbox[] {
    return this.manager.list().flatMap((each) => (each.kind === 'paused' ? [each.paused] : []));
  }

  /** Everything that sandboxes hold, by kind; all lists are empty when nothing has leaked. */
  async held(): Promise<Record<string, unknown[]>> {
    await this.manager.settled();
    const state = (folder: string) => readdir(join(this.host.snapshots.folder, folder));
    return {
      machines: this.parts.driver.held(),
      slots: this.parts.network.held(),
      entries: (await this.host.ledger.read()).entries.map(({ sandboxId }) => sandboxId),
      runDirectories: await readdir(this.host.runDirectory),
      disks: await state('disks'),
      generations: await state('generations'),
      memory: await state('memory'),
      refs: await state('refs'),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of this.manager.list()) {
      const { sandboxId, generation } = identityOf(each);
      await this.manager.destroy(sandboxId, generation).catch(() => undefined);
    }
    await this.manager.close();
    // A test may have made the manager forget a machine, which would keep this process alive.
    await this.parts.driver.sweep([]);
    await this.#removeDirectory();
  }
}

/** `held` of a host on which nothing is. */
export const NOTHING_HELD = {
  machines: [],
  slots: [],
  entries: [],
  runDirectories: [],
  disks: [],
  generations: [],
  memory: [],
  refs: [],
};

function identityOf(each: ListedSandbox): { sandboxId: string; generation: number } {
  return each.kind === 'live' ? each.sandbox.entry : each.paused;
}

/** What to create, with usual values. */
export function createOptions(options: Partial<CreateSandboxOptions> = {}): CreateSandboxOptions {
  return {
    sandboxId: 'sandbox1',
    generation: 1,
    template: 'minimal',
    vcpus: 1,
    memoryMb: 512,
    timeoutSec: 0,
    pauseOnTimeout: false,
    env: {},
    snapshotId: '',
    ...options,
  };
}

/** A command for `GuestClient.exec`, with usual values. */
export function command(cmd: string, ...args: string[]) {
  return { cmd, args, timeoutSec: 30, env: {}, cwd: '', user: '', stdin: Buffer.alloc(0) };
}
