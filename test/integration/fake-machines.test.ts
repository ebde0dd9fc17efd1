/** Machines without a VMM: many at once, and failing as a test wants. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { GuestClient } from '../../agent/guest/guest-client.js';
import type { Machine, MachineSpec } from '../../agent/vmm/driver.js';
import { createFakeDriver, type FakeDriver } from '../../agent/vmm/fake/driver.js';
import type { FaultStep } from '../../lib/faults/fault-plan.js';
import { mapConcurrently } from '../../lib/lifecycle/map-concurrently.js';
import { silentLog } from '../../lib/log/log.js';
import { guestCommand } from '../support/guest-command.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';

const MACHINES = 1_000;
const BOOTS_AT_ONCE = 50;
const MEMORY_MB = 4;
const BLOCK_BYTES = 4096;
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
    const rootfs = { path: join(runDirectory, 'disk.fake'), format: 'raw', layerFolders: [] };
    const spec = { runDirectory, rootfs, sandboxId: name, vcpus: 1, memoryMb: MEMORY_MB };
    return driver.boot(
      spec as unknown as MachineSpec,
      async () => undefined,
      new AbortController().signal,
    );
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

  it('stop when their disk is full, and repeat the write when they run again', async () => {
    const machine = await boot('full');
    const guest = await ready(machine, 'full');
    let told = 0;
    machine.onDiskFull = () => {
      told += 1;
    };

    await driver.diskFull(machine.record.runDirectory);
    const held = guest.exec(guestCommand('echo', ['written']), new AbortController().signal);
    await machine.saveState(join(directory.path, 'vmstate'));
    await machine.run();

    expect(told).to.equal(1);
    expect((await held).stdout.toString()).to.equal('written\n');
    guest.close();
  });

  it('fail as a VMM does wherever a test wants it, and go on afterwards', async () => {
    const machine = await boot('faulty');
    const guest = await ready(machine, 'faulty');
    const statePath = join(directory.path, 'vmstate');
    const disk = { path: join(directory.path, 'layer.fake'), format: 'raw' } as const;
    const calls: [FaultStep, () => Promise<unknown>][] = [
      ['driver.stop', () => machine.stop()],
      ['driver.save_state', () => machine.saveState(statePath)],
      ['driver.locate_memory', () => machine.locateMemory()],
      ['driver.switch_disk', () => machine.switchDisk(disk)],
      ['driver.run', () => machine.run()],
    ];

    for (const [step, call] of calls) {
      driver.faults.failNext(step);
      expect(await call().catch((thrown: unknown) => thrown)).to.include({ reason: 'VMM_FAILED' });
      await call();
    }

    const { exitCode } = await guest.exec(guestCommand('true'), new AbortController().signal);
    expect(exitCode).to.equal(0);
    guest.close();
  });

  it('do only while they are stopped what needs them stopped', async () => {
    const machine = await boot('running');
    const statePath = join(directory.path, 'vmstate');

    for (const call of [() => machine.saveState(statePath), () => machine.locateMemory()]) {
      const error = await call().catch((thrown: unknown) => thrown);
      expect(error).to.include({ reason: 'VMM_FAILED' });
    }
  });

  it('change few blocks of memory for a small file', async () => {
    const machine = await boot('small');
    const guest = await ready(machine, 'small');
    const { signal } = new AbortController();
    const memoryOf = async () => {
      await machine.stop();
      const memory = await machine.locateMemory();
      const content = memory.kind === 'memfd' ? await readFile(memory.path) : Buffer.alloc(0);
      await machine.run();
      return content;
    };
    const write = (text: string) =>
      guest.writeFile(
        { path: '/root/small', content: Buffer.from(text), user: '', mode: 0 },
        signal,
      );
    await write('before');
    const before = await memoryOf();

    await write('after');
    const after = await memoryOf();

    expect(before.length).to.equal(MEMORY_MB * 1024 * 1024);
    expect(before.equals(after)).to.equal(false);
    expect(changedBlocks(before, after)).to.be.at.most(2);
    guest.close();
  });
});

function changedBlocks(before: Buffer, after: Buffer): number {
  let changed = 0;
  for (let start = 0; start < after.length; start += BLOCK_BYTES) {
    const end = start + BLOCK_BYTES;
    if (before.compare(after, start, end, start, end) !== 0) changed += 1;
  }
  return changed;
}
