/** Machines of a conformance test that are saved and restored, with their guests. */
import { join } from 'node:path';
import { GuestClient } from '../../agent/guest/guest-client.js';
import type { Machine, MachineSpec, RestoredMemory, RestoreSpec } from '../../agent/vmm/driver.js';
import { randomId } from '../../lib/ids/random-id.js';
import { silentLog } from '../../lib/log/log.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';
import type { VmmDriverFixture } from './vmm-driver-fixture.js';

/** Emulation on a busy machine takes its time to a guest daemon that answers. */
export const GUEST_READY_TIMEOUT_MS = 180_000;
const TOKEN = randomId(32);

/** A machine that was saved and is gone. */
export interface Saved {
  spec: MachineSpec;
  statePath: string;
  memory: RestoredMemory;
}

export class MachineLab {
  readonly fixture: VmmDriverFixture;
  readonly #directory: TemporaryDirectory;
  readonly #machines: Machine[] = [];
  readonly #guests: GuestClient[] = [];

  private constructor(fixture: VmmDriverFixture, directory: TemporaryDirectory) {
    this.fixture = fixture;
    this.#directory = directory;
  }

  static async create(fixture: VmmDriverFixture): Promise<MachineLab> {
    return new MachineLab(fixture, await temporaryDirectory());
  }

  /** Boots a machine, makes its guest a sandbox, and leaves it as `prepare` does when it is saved. */
  async saveNew(prepare: (guest: GuestClient) => Promise<void>): Promise<Saved> {
    const spec = await this.fixture.makeSpec();
    const machine = this.keep(await this.fixture.driver.boot(spec, async () => undefined, never()));
    const guest = await this.#ready(machine);
    await guest.postInit({ sandboxId: 'origin', templateId: 'minimal', env: {} }, never());
    await prepare(guest);
    const saved = await this.save(spec, machine);
    await machine.destroy();
    return saved;
  }

  async save(spec: MachineSpec, machine: Machine): Promise<Saved> {
    const statePath = this.newPath();
    await machine.stop();
    await machine.saveState(statePath);
    return { spec, statePath, memory: await this.fixture.copyMemory(spec, machine) };
  }

  /** What a saved machine can be restored as. */
  async successor({ spec, statePath, memory }: Saved): Promise<RestoreSpec> {
    return { ...(await this.fixture.makeSuccessor(spec)), statePath, memory };
  }

  async restore(
    saved: Saved,
  ): Promise<{ spec: RestoreSpec; machine: Machine; guest: GuestClient }> {
    const spec = await this.successor(saved);
    const machine = this.keep(
      await this.fixture.driver.restore(spec, async () => undefined, never()),
    );
    return { spec, machine, guest: await this.#ready(machine) };
  }

  /** Path of a file that is not there yet. */
  newPath(): string {
    return join(this.#directory.path, randomId());
  }

  /** Sees to it that a machine ends with its test. */
  keep(machine: Machine): Machine {
    this.#machines.push(machine);
    return machine;
  }

  /** Ends all machines. */
  async tidy(): Promise<void> {
    for (const guest of this.#guests.splice(0)) guest.close();
    for (const machine of this.#machines.splice(0)) await machine.destroy();
  }

  async close(): Promise<void> {
    await this.tidy();
    await this.fixture.close();
    await this.#directory.remove();
  }

  async #ready({ guestTarget: target }: Machine): Promise<GuestClient> {
    const guest = new GuestClient({ target, token: TOKEN, log: silentLog });
    this.#guests.push(guest);
    await guest.waitUntilReady(GUEST_READY_TIMEOUT_MS, never());
    return guest;
  }
}

/** The error of a call that must fail. */
export async function failureOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error('the call did not fail');
}

export function never(): AbortSignal {
  return new AbortController().signal;
}
