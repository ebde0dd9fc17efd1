/**
 * What every VMM driver must do to stop a machine, save it, and make another
 * one of it; the second part of the suite of vmm-driver.ts.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import type { GuestClient } from '../../agent/guest/guest-client.js';
import type { MachineRecord, VmmDriver } from '../../agent/vmm/driver.js';
import { hasReason } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { guestCommand } from '../support/guest-command.js';
import { failureOf, GUEST_READY_TIMEOUT_MS, MachineLab, never, type Saved } from './machine-lab.js';
import type { VmmDriverFixture } from './vmm-driver-fixture.js';
import { describeFailedRestores } from './vmm-failed-restores.js';

const TEST_TIMEOUT_MS = 2 * GUEST_READY_TIMEOUT_MS;
/** How long a stopped guest is seen not to answer. */
const HELD_MS = 500;
const MARK_BYTES_MAX = 1_000;

/** A file in the guest's memory, and one on its disk. */
const IN_MEMORY = '/run/mark';
const ON_DISK = '/disk/mark';

export function describeVmmSnapshots(
  name: string,
  createFixture: (context: Mocha.Context) => Promise<VmmDriverFixture>,
): void {
  describe(`snapshots of VMM driver ${name}`, function () {
    this.timeout(TEST_TIMEOUT_MS);
    let lab: MachineLab;
    /** Booted once, since a boot takes longer than all the rest. */
    let saved: Saved;

    before(async function () {
      lab = await MachineLab.create(await createFixture(this));
      saved = await lab.saveNew((guest) => mark(guest, 'saved'));
    });

    afterEach(() => lab.tidy());

    after(() => lab?.close());

    it('restores the guest that was saved: its memory, its disk, its name and its token', async () => {
      const { machine, guest } = await lab.restore(saved);

      expect(await marks(guest)).to.deep.equal({ inMemory: 'saved', onDisk: 'saved' });
      expect(await output(guest, 'hostname')).to.equal('origin');
      expect(machine.guestTarget).to.equal(machine.record.guestTarget);
      expect(await machine.readConsole()).to.be.a('string');
    });

    it('restores one guest twice, and each goes its own way', async () => {
      const [first, second] = [await lab.restore(saved), await lab.restore(saved)];

      await mark(first.guest, 'of the first');

      expect(await marks(first.guest)).to.deep.equal({
        inMemory: 'of the first',
        onDisk: 'of the first',
      });
      expect(await marks(second.guest)).to.deep.equal({ inMemory: 'saved', onDisk: 'saved' });
    });

    it('saves a restored machine, which can be restored again', async () => {
      const { spec, machine, guest } = await lab.restore(saved);
      await mark(guest, 'saved again');
      const savedAgain = await lab.save(spec, machine);
      await machine.destroy();

      const { guest: again } = await lab.restore(savedAgain);

      expect(await marks(again)).to.deep.equal({ inMemory: 'saved again', onDisk: 'saved again' });
    });

    it('records a restored machine before it is there, and again with its process', async () => {
      const spec = await lab.successor(saved);
      const records: { record: MachineRecord; leftovers: string[] }[] = [];

      const machine = await lab.fixture.driver.restore(
        spec,
        async (record) => {
          const copy = JSON.parse(JSON.stringify(record)) as MachineRecord;
          records.push({ record: copy, leftovers: await lab.fixture.leftovers(spec) });
        },
        never(),
      );
      lab.keep(machine);

      expect(records).to.have.length(2);
      expect(records[0]?.leftovers).to.deep.equal([]);
      expect(records[1]?.record).to.deep.equal(machine.record);
      expect(records[1]?.record.pid).to.be.greaterThan(0);
    });

    it('holds every call while a machine is stopped, and answers when it runs', async () => {
      const { machine, guest } = await lab.restore(saved);
      await guest.exec(guestCommand('true'), never());
      await machine.stop();
      await machine.stop();

      const held = guest.exec(guestCommand('echo', ['held']), never());
      const inTime = AbortSignal.timeout(HELD_MS);
      const error = await failureOf(guest.exec(guestCommand('true'), inTime));
      await machine.run();
      await machine.run();

      expect(error).to.equal(inTime.reason);
      expect((await held).stdout.toString()).to.equal('held\n');
    });

    it('saves a stopped machine as often as wanted, and lets it run on', async () => {
      const { machine, guest } = await lab.restore(saved);
      const paths = [lab.newPath(), lab.newPath()];
      await machine.stop();

      for (const path of paths) await machine.saveState(path);
      await machine.run();

      for (const path of paths) expect(await readFile(path)).not.to.have.length(0);
      expect(await output(guest, 'echo', 'on')).to.equal('on');
    });

    it('makes a memory available that holds what the guest wrote', async () => {
      const { spec, machine, guest } = await lab.restore(saved);
      const needle = `needle ${randomId()}`;
      await guest.writeFile(file(IN_MEMORY, needle), never());
      await machine.stop();

      const { kind } = await machine.locateMemory();
      const memory = await lab.fixture.copyMemory(spec, machine);

      expect(kind).to.be.oneOf(['memfd', 'private']);
      if (memory.kind !== 'file') throw new Error('the fixture made no file');
      const content = await readFile(memory.path);
      expect(content.length).to.equal(spec.memoryMb * 1024 * 1024);
      const forms = [needle, Buffer.from(needle).toString('base64')];
      expect(forms.some((form) => content.includes(form))).to.equal(true);
    });

    it('lets further writes go to another disk, and keeps what was written', async () => {
      const { spec, machine, guest } = await lab.restore(saved);
      await mark(guest, 'before');
      await output(guest, 'sync');
      await machine.stop();
      const layer = await lab.fixture.makeLayer(spec);
      await machine.switchDisk(layer);
      const digests = await Promise.all([spec.rootfs.path, layer.path].map(digestOf));
      await machine.run();

      await guest.writeFile(file('/disk/after', 'after'), never());
      await output(guest, 'sync');

      const [below, above] = await Promise.all([spec.rootfs.path, layer.path].map(digestOf));
      expect(below).to.equal(digests[0]);
      expect(above).not.to.equal(digests[1]);
      expect((await marks(guest)).onDisk).to.equal('before');
    });

    it('finds a stopped machine again, which can run on', async () => {
      const { machine, guest } = await lab.restore(saved);
      await machine.stop();
      machine.release();

      const recovered = await lab.fixture.restartedDriver().recover(machine.record);
      if (!recovered) throw new Error('the machine was not found');
      lab.keep(recovered);
      await recovered.run();

      expect(await output(guest, 'echo', 'on')).to.equal('on');
    });

    it('destroys a stopped machine', async () => {
      const { spec, machine } = await lab.restore(saved);
      await machine.stop();

      await machine.destroy();

      expect(await lab.fixture.leftovers(spec)).to.deep.equal([]);
      expect((await machine.exited).kind).to.equal('destroyed');
    });

    it('says so when the machine to be stopped is gone', async () => {
      const { machine } = await lab.restore(saved);
      await lab.fixture.crash(machine.record);
      await machine.exited;

      const error = await failureOf(machine.stop());

      expect(hasReason(error, 'VMM_FAILED')).to.equal(true);
    });

    describeFailedRestores(() => ({ lab, saved }));

    it('says the same of its kind after a restart', async () => {
      const kindOf = (driver: VmmDriver) => driver.kind();
      const kind = await kindOf(lab.fixture.driver);

      expect(await kindOf(lab.fixture.restartedDriver())).to.deep.equal(kind);
      expect(kind.driver).to.equal(lab.fixture.driver.name);
      expect(kind.accelerator).to.equal(lab.fixture.driver.accelerator);
      expect(Object.values(kind)).not.to.include('');
    });
  });
}

async function mark(guest: GuestClient, text: string): Promise<void> {
  for (const path of [IN_MEMORY, ON_DISK]) await guest.writeFile(file(path, text), never());
}

async function marks(guest: GuestClient): Promise<{ inMemory: string; onDisk: string }> {
  const read = async (path: string) =>
    (await guest.readFile({ path, sizeBytesMax: MARK_BYTES_MAX }, never())).content.toString();
  return { inMemory: await read(IN_MEMORY), onDisk: await read(ON_DISK) };
}

function file(path: string, text: string) {
  return { path, content: Buffer.from(text), user: '', mode: 0 };
}

async function output(guest: GuestClient, cmd: string, ...args: string[]): Promise<string> {
  const { stdout, exitCode } = await guest.exec(guestCommand(cmd, args), never());
  expect(exitCode).to.equal(0);
  return stdout.toString().trim();
}

/** Of a file that may not be there. */
async function digestOf(path: string): Promise<string> {
  const content = await readFile(path).catch(() => Buffer.alloc(0));
  return createHash('sha256').update(content).digest('hex');
}
