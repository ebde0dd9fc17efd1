/** Every step of a sandbox's life fails once: nothing leaks, what is told is true, the retry works. */
import { expect } from 'chai';
import type { SandboxManager } from '../../agent/sandbox/manager.js';
import type { WrennError } from '../../lib/errors/index.js';
import type { FaultStep } from '../../lib/faults/fault-plan.js';
import { eventually } from '../support/eventually.js';
import { command, createOptions, FakeHost, NOTHING_HELD } from '../support/fake-host.js';

const CREATE_STEPS: FaultStep[] = [
  'network.acquire',
  'network.acquire.recorded',
  'rootfs.create',
  'driver.boot',
  'driver.boot.recorded',
  'driver.boot.started',
  'guest.post_init',
];
const FREE_STEPS: FaultStep[] = ['driver.destroy', 'rootfs.destroy', 'network.release'];
/** Long enough for the caller to leave while the step runs, which may not know of it. */
const STEP_DELAY_MS = 300;
const { signal } = new AbortController();

const echo = async (manager: SandboxManager) => {
  const { stdout } = await manager.withGuest('sandbox1', (guest) =>
    guest.exec(command('echo', 'hello'), signal),
  );
  return stdout.toString();
};

describe('CreateSandbox when a step fails', () => {
  for (const step of CREATE_STEPS) {
    it(`leaves nothing when ${step} fails, and the retry succeeds`, async () => {
      await using fake = await FakeHost.open();
      fake.faults.failNext(step);
      const failed = await fake.manager
        .create(createOptions(), signal)
        .catch((error: unknown) => error);
      expect(failed).to.be.instanceOf(Error);
      expect(fake.faults.pending).to.deep.equal([]);
      expect(await fake.held()).to.deep.equal(NOTHING_HELD);
      expect(fake.manager.list()).to.deep.equal([]);

      await fake.manager.create(createOptions(), signal);
      expect(await echo(fake.manager)).to.equal('hello\n');
    });

    for (const undo of FREE_STEPS) {
      it(`frees everything in the end when ${step} fails and then ${undo} fails too`, async () => {
        await using fake = await FakeHost.open();
        fake.faults.failNext(step);
        fake.faults.failNext(undo);
        await fake.manager.create(createOptions(), signal).catch(() => undefined);
        // Either all is free already, or the host says that it is still stopping.
        const phases = fake.live().map(({ entry }) => entry.phase);
        expect(phases).to.satisfy((told: string[]) => told.every((phase) => phase === 'stopping'));
        if (phases.length === 0) expect(await fake.held()).to.deep.equal(NOTHING_HELD);
        await fake.manager.destroy('sandbox1', 1);
        expect(await fake.held()).to.deep.equal(NOTHING_HELD);
      });
    }
  }

  it('goes on when single health checks fail, as they do while a guest boots', async () => {
    await using fake = await FakeHost.open();
    fake.faults.failNext('guest.health');
    fake.faults.failNext('guest.health');
    await fake.manager.create(createOptions(), signal);
    expect(fake.faults.pending).to.deep.equal([]);
  });

  it('leaves nothing when the caller goes away at any step', async () => {
    for (const step of CREATE_STEPS) {
      await using fake = await FakeHost.open();
      const caller = new AbortController();
      fake.faults.delayNext(step, STEP_DELAY_MS);
      const creating = fake.manager
        .create(createOptions(), caller.signal)
        .catch((error: Error) => error.message);
      await eventually(() => expect(fake.faults.timesReached(step), step).to.equal(1));
      caller.abort(new Error('caller gone'));
      expect(await creating, step).to.equal('caller gone');
      expect(await fake.held(), step).to.deep.equal(NOTHING_HELD);
    }
  });
});

describe('DestroySandbox when a step fails', () => {
  for (const step of FREE_STEPS) {
    it(`keeps what is left as stopping when ${step} fails, and the retry frees it`, async () => {
      await using fake = await FakeHost.open();
      await fake.manager.create(createOptions(), signal);
      fake.faults.failNext(step);
      const failed = await fake.manager.destroy('sandbox1', 1).catch((error: unknown) => error);
      expect(failed).to.be.instanceOf(Error);
      expect(fake.live().map(({ entry }) => entry.phase)).to.deep.equal(['stopping']);

      await fake.manager.destroy('sandbox1', 1);
      expect(await fake.held()).to.deep.equal(NOTHING_HELD);
      expect(fake.manager.list()).to.deep.equal([]);
    });

    it(`is finished by the next agent when ${step} fails and the agent is killed`, async () => {
      await using fake = await FakeHost.open();
      await fake.manager.create(createOptions(), signal);
      fake.faults.failNext(step);
      await fake.manager.destroy('sandbox1', 1).catch(() => undefined);
      await fake.restart();
      expect(await fake.held()).to.deep.equal(NOTHING_HELD);
    });
  }

  it('does not free disk and network while the machine could not be ended', async () => {
    await using fake = await FakeHost.open();
    await fake.manager.create(createOptions(), signal);
    fake.faults.failNext('driver.destroy');
    await fake.manager.destroy('sandbox1', 1).catch(() => undefined);
    const held = await fake.held();
    expect(held.disks).to.have.length(1);
    expect(held.slots).to.have.length(1);
  });
});

describe('a boot that leaves its machine behind', () => {
  it('is undone with it: the machine ends before disk and network are freed', async () => {
    await using fake = await FakeHost.open();
    const { boot } = fake.host.driver;
    fake.host.driver.boot = async (...parameters) => {
      await boot(...parameters);
      throw new Error('the driver could not undo its boot');
    };
    await fake.manager.create(createOptions(), signal).catch(() => undefined);
    expect(await fake.held()).to.deep.equal(NOTHING_HELD);
    expect(fake.manager.list()).to.deep.equal([]);
  });
});

describe('a host whose disk is full', () => {
  const noSpace = () => Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }));

  it('says so when a sandbox is to be created, and leaves nothing', async () => {
    await using fake = await FakeHost.open();
    fake.host.ledger.put = noSpace;
    const refused = await fake.manager
      .create(createOptions(), signal)
      .catch((error: WrennError) => error.reason);
    expect(refused).to.equal('HOST_DISK_FULL');
    expect(await fake.held()).to.deep.equal(NOTHING_HELD);
  });

  it('still deletes sandboxes', async () => {
    await using fake = await FakeHost.open();
    await fake.manager.create(createOptions(), signal);
    fake.host.ledger.put = noSpace;
    await fake.manager.destroy('sandbox1', 1);
    expect(await fake.held()).to.deep.equal(NOTHING_HELD);
  });
});

describe('the agent restarted when a step of recovery fails', () => {
  it('tries again to take a sandbox over', async () => {
    await using fake = await FakeHost.open();
    await fake.manager.create(createOptions(), signal);
    fake.faults.failNext('driver.recover');
    await fake.restart();
    expect(await echo(fake.manager)).to.equal('hello\n');
  });

  it('ends and frees a sandbox that it cannot take over at all, and says why', async () => {
    await using fake = await FakeHost.open();
    await fake.manager.create(createOptions(), signal);
    fake.host.driver.recover = () => Promise.reject(new Error('not readable'));
    await fake.restart();
    expect(fake.live().map(({ endReason }) => endReason)).to.deep.equal(['SANDBOX_LOST']);
    expect(await fake.held()).to.deep.equal({ ...NOTHING_HELD, entries: ['sandbox1'] });
  });

  for (const step of ['driver.sweep', 'network.sweep'] as const) {
    it(`serves the sandboxes that it has although ${step} fails`, async () => {
      await using fake = await FakeHost.open();
      await fake.manager.create(createOptions(), signal);
      fake.faults.failNext(step);
      await fake.restart();
      expect(await echo(fake.manager)).to.equal('hello\n');
    });
  }

  for (const step of ['driver.recover', 'network.adopt'] as const) {
    it(`does not lose track of the sandbox when ${step} fails`, async () => {
      await using fake = await FakeHost.open();
      await fake.manager.create(createOptions(), signal);
      fake.faults.failNext(step);
      await fake.restart();
      expect(fake.manager.list()).to.have.length(1);
      await fake.manager.destroy('sandbox1', 1);
      expect(await fake.held()).to.deep.equal(NOTHING_HELD);
    });
  }
});
