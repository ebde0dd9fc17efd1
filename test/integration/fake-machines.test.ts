/** Machines without a VMM: many at once, and failing as a test wants. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { GuestClient } from '../../agent/guest/guest-client.js';
import type { Machine, MachineSpec } from '../../agent/vmm/driver.js';
import { createFakeDriver, type FakeDriver } from '../../agent/vmm/fake/driver.js';
import { mapConcurrently } from '../../lib/lifecycle/map-concurrently.js';
import { silentLog } from '../../lib/log/log.js';
import { guestCommand } from '../support/guest-command.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';

const MACHINES = 1_000;
const BOOTS_AT_ONCE = 50;
const READY_TIMEOUT_MS = 60_000;

describe('fake machines', () => {
  let directory: TemporaryDirectory;
  let driver: FakeDriver;

  beforeEach(async () => {
    directory = await temporaryDirectory();
    driver = createFakeDriver();
  });

  afterEach(async () => {
    await driver.sweep([]);
    await directory.remove();
  });

  async function boot(name: string): Promise<Machine> {
    const runDirectory = join(directory.path, name);
    await mkdir(runDirectory);
    const spec = { runDirectory, sandboxId: name } as MachineSpec;
    return driver.boot(spec, async () => undefined, new AbortController().signal);
  }

  async function ready(machine: Machine, name: string): Promise<GuestClient> {
    const { guestTarget: target } = machine;
    const guest = new GuestClient({ target, token: `token-of-${name}-0123`, log: silentLog });
    const { signal } = new AbortController();
    await guest.waitUntilReady(READY_TIMEOUT_MS, signal);
    await guest.postInit({ sandboxId: name, templateId: 'minimal', env: {} }, signal);
    return guest;
  }

  it(`run ${MACHINES} at a time, and each is its own`, async function () {
    this.timeout(120_000);
    const names = Array.from({ length: MACHINES }, (_, index) => `machine${index}`);

    const started = await mapConcurrently(names, BOOTS_AT_ONCE, async (name) => {
      const machine = await boot(name);
      return { machine, guest: await ready(machine, name) };
    });
    const machines = started.map(({ machine }) => machine);
    const guests = started.map(({ guest }) => guest);
    const results = await Promise.all(
      guests.map((guest) => guest.exec(guestCommand('hostname'), new AbortController().signal)),
    );

    expect(results.map(({ stdout }) => stdout.toString().trim())).to.deep.equal(names);
    expect(driver.held()).to.have.length(MACHINES);
    for (const guest of guests) guest.close();
    await Promise.all(machines.map((machine) => machine.destroy()));
    expect(driver.held()).to.deep.equal([]);
  });

  it('end a call that is under way when their VMM is killed', async () => {
    const machine = await boot('killed');
    const guest = await ready(machine, 'killed');
    const running = guest
      .exec(guestCommand('sleep', ['300']), new AbortController().signal)
      .catch((error: unknown) => error);

    await driver.killVmm(machine.record.runDirectory);

    expect(await running).to.include({ reason: 'GUEST_UNREACHABLE' });
    expect((await machine.exited).kind).to.equal('exited');
    expect(driver.held()).to.deep.equal([]);
    guest.close();
  });

  it('fail in the guest as planned, once', async () => {
    const machine = await boot('failing');
    const guest = await ready(machine, 'failing');
    const { signal } = new AbortController();
    driver.faults.failNext('guest.start');

    const error = await guest.exec(guestCommand('true'), signal).catch((thrown) => thrown);

    expect(error).to.include({ reason: 'GUEST_UNREACHABLE' });
    expect((await guest.exec(guestCommand('true'), signal)).exitCode).to.equal(0);
    guest.close();
  });
});
