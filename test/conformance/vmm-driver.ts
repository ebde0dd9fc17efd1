/**
 * What every VMM driver must do, as one suite. A driver's test makes a fixture
 * of it and calls `describeVmmDriver`.
 */
import { expect } from 'chai';
import type { Machine, MachineRecord, MachineSpec } from '../../agent/vmm/driver.js';
import { hasReason } from '../../lib/errors/index.js';
import { eventually } from '../support/eventually.js';
import { GUEST_READY_TIMEOUT_MS, never } from './machine-lab.js';
import type { VmmDriverFixture } from './vmm-driver-fixture.js';
import { describeVmmSnapshots } from './vmm-snapshots.js';

export type { VmmDriverFixture };

/** A boot waits for nothing but the VMM; the limit only ends a test that hangs. */
const TEST_TIMEOUT_MS = 120_000;
/** What a console may hold, at most. */
const CONSOLE_LENGTH_MAX = 64 * 1024;

export function describeVmmDriver(
  name: string,
  createFixture: (context: Mocha.Context) => Promise<VmmDriverFixture>,
): void {
  describeVmmSnapshots(name, createFixture);

  describe(`VMM driver ${name}`, function () {
    this.timeout(TEST_TIMEOUT_MS);
    let fixture: VmmDriverFixture;
    let machines: Machine[];

    before(async function () {
      fixture = await createFixture(this);
    });

    beforeEach(() => {
      machines = [];
    });

    afterEach(async () => {
      for (const machine of machines) await machine.destroy();
    });

    after(async () => {
      await fixture?.close();
    });

    async function boot(spec: MachineSpec, driver = fixture.driver): Promise<Machine> {
      const machine = await driver.boot(spec, async () => undefined, never());
      machines.push(machine);
      return machine;
    }

    async function bootAny(): Promise<{ spec: MachineSpec; machine: Machine }> {
      const spec = await fixture.makeSpec();
      return { spec, machine: await boot(spec) };
    }

    /** Takes a machine over, as only one driver at a time may. */
    async function expectRunning(
      machine: Machine,
      driver = fixture.restartedDriver(),
    ): Promise<void> {
      machine.release();
      const recovered = await driver.recover(machine.record);
      if (recovered) machines.push(recovered);
      expect(recovered).not.to.equal(undefined);
    }

    it('boots a guest whose daemon answers', async function () {
      this.timeout(GUEST_READY_TIMEOUT_MS + TEST_TIMEOUT_MS);
      const { machine } = await bootAny();

      await eventually(() => fixture.checkHealth(machine.guestTarget), {
        timeoutMs: GUEST_READY_TIMEOUT_MS,
        pauseMs: 250,
      });

      expect(machine.guestTarget).to.equal(machine.record.guestTarget);
      expect(await machine.readConsole()).to.be.a('string');
    });

    it('records a machine before it is there, and again with its process', async () => {
      const spec = await fixture.makeSpec();
      const records: { record: MachineRecord; leftovers: string[] }[] = [];

      const machine = await fixture.driver.boot(
        spec,
        async (record) => {
          const copy = JSON.parse(JSON.stringify(record)) as MachineRecord;
          records.push({ record: copy, leftovers: await fixture.leftovers(spec) });
        },
        never(),
      );
      machines.push(machine);

      expect(records).to.have.length(2);
      expect(records[0]?.leftovers).to.deep.equal([]);
      expect(records[1]?.record).to.deep.equal(machine.record);
      expect(records[1]?.record.pid).to.be.greaterThan(0);
    });

    it('frees everything at destroy, and takes a second one', async () => {
      const { spec, machine } = await bootAny();
      expect(await fixture.leftovers(spec)).not.to.deep.equal([]);

      await machine.destroy();
      await machine.destroy();

      expect(await fixture.leftovers(spec)).to.deep.equal([]);
      expect((await machine.exited).kind).to.equal('destroyed');
    });

    it('takes calls of destroy at the same time', async () => {
      const { spec, machine } = await bootAny();

      await Promise.all([machine.destroy(), machine.destroy(), machine.destroy()]);

      expect(await fixture.leftovers(spec)).to.deep.equal([]);
    });

    it('destroys a machine whose VMM hangs', async () => {
      const { spec, machine } = await bootAny();
      await fixture.hang(machine.record);

      await machine.destroy();

      expect(await fixture.leftovers(spec)).to.deep.equal([]);
    });

    it('reads the console of a VMM that hangs without failing', async () => {
      const { machine } = await bootAny();
      await fixture.hang(machine.record);

      expect(await machine.readConsole()).to.have.length.at.most(CONSOLE_LENGTH_MAX);
    });

    it('notices that a VMM has ended, and frees the rest at destroy', async () => {
      const { spec, machine } = await bootAny();
      await fixture.crash(machine.record);

      const exit = await machine.exited;

      expect(exit.kind).to.equal('exited');
      expect(exit.detail).not.to.equal('');
      await machine.destroy();
      expect(await fixture.leftovers(spec)).to.deep.equal([]);
      expect((await machine.exited).kind).to.equal('exited');
    });

    it('finds a machine again that an earlier driver let go of', async function () {
      this.timeout(GUEST_READY_TIMEOUT_MS + TEST_TIMEOUT_MS);
      const { spec, machine } = await bootAny();
      machine.release();

      const recovered = await fixture.restartedDriver().recover(machine.record);

      expect(recovered?.record).to.deep.equal(machine.record);
      if (!recovered) return;
      machines.push(recovered);
      await eventually(() => fixture.checkHealth(recovered.guestTarget), {
        timeoutMs: GUEST_READY_TIMEOUT_MS,
        pauseMs: 250,
      });
      await recovered.destroy();
      expect(await fixture.leftovers(spec)).to.deep.equal([]);
      expect((await recovered.exited).kind).to.equal('destroyed');
    });

    it('notices the end of a VMM that an earlier driver started', async () => {
      const { machine } = await bootAny();
      machine.release();
      const recovered = await fixture.restartedDriver().recover(machine.record);

      await fixture.crash(machine.record);

      expect((await recovered?.exited)?.kind).to.equal('exited');
    });

    it('recovers a machine whose VMM hangs, so that it can be destroyed', async () => {
      const { spec, machine } = await bootAny();
      machine.release();
      await fixture.hang(machine.record);

      const recovered = await fixture.restartedDriver().recover(machine.record);
      await recovered?.destroy();

      expect(recovered).not.to.equal(undefined);
      expect(await fixture.leftovers(spec)).to.deep.equal([]);
    });

    it('finds nothing for the record of a VMM that has ended', async () => {
      const { machine } = await bootAny();
      machine.release();
      await fixture.crash(machine.record);

      const recovered = await fixture.restartedDriver().recover(machine.record);

      expect(recovered).to.equal(undefined);
    });

    it('finds nothing for a process id that the system gave to somebody else', async () => {
      const { machine } = await bootAny();
      const stranger = { ...machine.record, startTimeTicks: '1' };

      expect(await fixture.restartedDriver().recover(stranger)).to.equal(undefined);
    });

    it('discards a record without a machine, twice, whether its VMM runs or not', async () => {
      const { spec, machine } = await bootAny();
      machine.release();
      const driver = fixture.restartedDriver();

      await driver.discard(machine.record);
      await driver.discard(machine.record);

      expect(await fixture.leftovers(spec)).to.deep.equal([]);
    });

    it('discards a machine of which only the first record was kept', async () => {
      const { spec, machine } = await bootAny();
      machine.release();
      const first = { ...machine.record, pid: 0, startTimeTicks: '' };
      const driver = fixture.restartedDriver();

      expect(await driver.recover(first)).to.equal(undefined);
      await driver.discard(first);

      expect(await fixture.leftovers(spec)).to.deep.equal([]);
    });

    it('leaves a stranger alone that has the process id of a discarded record', async () => {
      const { spec, machine } = await bootAny();
      const other = await fixture.makeSpec();
      const otherMachine = await boot(other);
      const mixed = { ...machine.record, pid: otherMachine.record.pid };

      await fixture.driver.discard(mixed);

      expect(await fixture.leftovers(spec)).to.deep.equal([]);
      await expectRunning(otherMachine);
    });

    it('leaves nothing of a boot that was cancelled before', async () => {
      const spec = await fixture.makeSpec();
      const reason = new Error('cancelled');

      const error = await failureOf(
        fixture.driver.boot(spec, async () => undefined, AbortSignal.abort(reason)),
      );

      expect(error).to.equal(reason);
      expect(await fixture.leftovers(spec)).to.deep.equal([]);
    });

    it('leaves nothing of a boot that is cancelled when its process runs', async () => {
      const spec = await fixture.makeSpec();
      const reason = new Error('cancelled');
      const cancel = new AbortController();

      const error = await failureOf(
        fixture.driver.boot(
          spec,
          async ({ pid }) => {
            if (pid > 0) cancel.abort(reason);
          },
          cancel.signal,
        ),
      );

      expect(error).to.equal(reason);
      expect(await fixture.leftovers(spec)).to.deep.equal([]);
    });

    it('leaves nothing of a VMM that does not start, and says why', async () => {
      const spec = await fixture.makeSpec();

      const error = await failureOf(
        fixture.driver.boot(fixture.broken(spec), async () => undefined, never()),
      );

      expect(hasReason(error, 'VMM_FAILED')).to.equal(true);
      expect((error as Error).cause).to.be.an('error');
      expect(await fixture.leftovers(spec)).to.deep.equal([]);
    });

    for (const call of [1, 2]) {
      it(`leaves nothing of a machine whose record ${call} cannot be kept`, async () => {
        const spec = await fixture.makeSpec();
        let calls = 0;

        const error = await failureOf(
          fixture.driver.boot(
            spec,
            async () => {
              calls += 1;
              if (calls === call) throw new Error('no room for the record');
            },
            never(),
          ),
        );

        expect(error).to.be.an('error');
        expect(await fixture.leftovers(spec)).to.deep.equal([]);
      });
    }

    it('refuses a second machine of a sandbox and leaves the first one alone', async () => {
      const { spec, machine } = await bootAny();

      const error = await failureOf(fixture.driver.boot(spec, async () => undefined, never()));

      expect(hasReason(error, 'VMM_FAILED')).to.equal(true);
      await expectRunning(machine);
    });

    it('sweeps what no record holds, and nothing of another instance', async () => {
      const held = await bootAny();
      const orphan = await bootAny();
      const foreignSpec = await fixture.makeSpec();
      const foreign = await boot(foreignSpec, fixture.foreignDriver());

      const driver = fixture.restartedDriver();
      const removed = await driver.sweep([held.machine.record]);
      const again = await driver.sweep([held.machine.record]);

      expect(removed).not.to.deep.equal([]);
      expect(again).to.deep.equal([]);
      // The folder of a sandbox is its caller's to sweep.
      const leftovers = await fixture.leftovers(orphan.spec);
      expect(leftovers.filter((line) => !line.startsWith('file '))).to.deep.equal([]);
      expect((await orphan.machine.exited).kind).to.equal('exited');
      await expectRunning(held.machine);
      await expectRunning(foreign, fixture.foreignDriver());
    });
  });
}

/** The error of a call that must fail. */
async function failureOf(call: Promise<Machine>): Promise<unknown> {
  try {
    const machine = await call;
    await machine.destroy();
  } catch (error) {
    return error;
  }
  throw new Error('the call did not fail');
}
