/**
 * A sandbox manager on fakes, in a folder of its own: the state machine, the
 * ledger and the rollbacks are real, and every step below can be made to fail.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Ledger } from '../../agent/ledger/ledger.js';
import { type FakeParts, fakeParts } from '../../agent/parts/fake.js';
import type { Host, HostLimits } from '../../agent/sandbox/host.js';
import { type CreateSandboxOptions, SandboxManager } from '../../agent/sandbox/manager.js';
import { FaultPlan } from '../../lib/faults/fault-plan.js';
import { silentLog } from '../../lib/log/log.js';
import { temporaryDirectory } from './temporary-directory.js';

const LIMITS: HostLimits = { memoryMbMax: 1_000_000, bootsAtOnceMax: 1000, bootTimeoutMs: 5000 };

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

  static async open(limits: Partial<HostLimits> = {}): Promise<FakeHost> {
    const directory = await temporaryDirectory();
    const faults = new FaultPlan();
    const parts = fakeParts({ fakeBootMs: 1, faults });
    const runDirectory = join(directory.path, 'run');
    const stateDirectory = join(directory.path, 'state');
    await mkdir(runDirectory);
    await mkdir(stateDirectory);
    const ledger = await Ledger.open(join(directory.path, 'ledger'));
    const host = {
      ...parts,
      log: silentLog,
      ledger,
      limits: { ...LIMITS, ...limits },
      runDirectory,
      stateDirectory,
    };
    return new FakeHost(host, parts, faults, directory.remove);
  }

  /** What `kill -9` and a new start of the agent do: memory is lost, machines go on. */
  async restart(): Promise<void> {
    await this.manager.close();
    this.manager = new SandboxManager(this.host);
    await this.manager.recovered();
  }

  /** Everything that sandboxes hold, by kind; all lists are empty when nothing has leaked. */
  async held(): Promise<Record<string, unknown[]>> {
    return {
      machines: this.parts.driver.held(),
      disks: this.parts.rootfs.held(),
      slots: this.parts.network.held(),
      entries: (await this.host.ledger.read()).entries.map(({ sandboxId }) => sandboxId),
      runDirectories: await readdir(this.host.runDirectory),
      stateDirectories: await readdir(this.host.stateDirectory),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const sandbox of this.manager.list()) {
      await this.manager.destroy(sandbox.id, sandbox.entry.generation).catch(() => undefined);
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
  disks: [],
  slots: [],
  entries: [],
  runDirectories: [],
  stateDirectories: [],
};

/** What to create, with usual values. */
export function createOptions(options: Partial<CreateSandboxOptions> = {}): CreateSandboxOptions {
  return {
    sandboxId: 'sandbox1',
    generation: 1,
    template: 'minimal',
    vcpus: 1,
    memoryMb: 512,
    timeoutSec: 0,
    env: {},
    ...options,
  };
}

/** A command for `GuestClient.exec`, with usual values. */
export function command(cmd: string, ...args: string[]) {
  return { cmd, args, timeoutSec: 30, env: {}, cwd: '', user: '', stdin: Buffer.alloc(0) };
}
