/** Slots on a real host: pool, numbers, failures at every step, adoption, sweep. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import {
  createNetwork,
  type HostNetwork,
  type NetworkOptions,
} from '../../agent/network/host-network.js';
import type { NetworkSlot } from '../../agent/network/network.js';
import { hasReason } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { silentLog } from '../../lib/log/log.js';
import { run } from '../../lib/process/run.js';
import {
  type Census,
  expectNoLeaks,
  expectUnchanged,
  takeCensus,
} from '../support/census/census.js';
import { eventually } from '../support/eventually.js';
import { FaultyCommands, InjectedFault } from '../support/network/faulty-commands.js';
import { leaveBehind, smallRange, unhurried } from '../support/network/instances.js';
import { requireNeed } from '../support/requirements.js';

const SLOTS = 7;

describe('network slots', function () {
  this.timeout(60_000);

  let instanceId: string;
  let atStart: Census;
  let commands: FaultyCommands;
  let network: HostNetwork | undefined;

  const census = () => takeCensus({ instanceIds: [instanceId] });
  const open = async (options: Partial<NetworkOptions> = {}): Promise<HostNetwork> => {
    network = await createNetwork({
      instanceId,
      poolSize: 0,
      log: silentLog,
      commands,
      ...options,
    });
    return network;
  };
  const take = (from: HostNetwork) => from.acquire(async () => undefined, unhurried);
  const takeAll = (from: HostNetwork, count: number) =>
    Promise.all(Array.from({ length: count }, () => take(from)));
  const stands = (slot: NetworkSlot) =>
    existsSync(`/run/netns/${slot.namespace}`) && existsSync(`/sys/class/net/${slot.vethName}`);
  const failure = async (work: Promise<unknown>): Promise<unknown> => {
    try {
      await work;
    } catch (error) {
      return error;
    }
    throw new Error('did not fail');
  };

  before(function () {
    requireNeed(this, 'root', 'netns');
  });

  beforeEach(async () => {
    instanceId = randomId(5);
    commands = new FaultyCommands();
    atStart = await census();
  });

  afterEach(async () => {
    commands.disarm();
    await network?.close();
    // Whatever a test left in use goes with the instance.
    const last = await createNetwork({ instanceId, poolSize: 0, log: silentLog });
    await last.sweep([]);
    await last.close();
    network = undefined;
    await eventually(async () => expectNoLeaks(atStart, await census()));
  });

  it('records a slot before anything of it is on the host', async () => {
    const opened = await open();
    const before = await census();
    let recorded: NetworkSlot | undefined;
    const slot = await opened.acquire(async (planned) => {
      recorded = planned;
      expectUnchanged(before, await census());
    }, unhurried);
    expect(slot).to.deep.equal(recorded);
    expect(stands(slot)).to.equal(true);
    await opened.release(slot);
    await eventually(async () => expectUnchanged(before, await census()));
  });

  it('launches three processes for a slot, one to remove it, and none to hand out a ready one', async () => {
    const opened = await open();
    commands.restart();
    const slot = await take(opened);
    expect(commands.launched).to.deep.equal(['ip', 'ip', 'confine']);
    commands.restart();
    await opened.release(slot);
    expect(commands.launched).to.deep.equal(['ip']);
    await opened.close();

    const pooled = await open({ poolSize: 1 });
    await eventually(() => expect(pooled.readyCount).to.equal(1));
    commands.restart();
    await pooled.acquire(async (ready) => {
      expect(commands.launched, 'before').to.deep.equal([]);
      expect(stands(ready)).to.equal(true);
    }, unhurried);
  });

  it('keeps the pool full in the background, and takes it down at the end', async () => {
    const opened = await open({ poolSize: 3 });
    await eventually(() => expect(opened.readyCount).to.equal(3));
    const slots = await takeAll(opened, 5);
    await eventually(() => expect(opened.readyCount).to.equal(3));
    expect(new Set(slots.map(({ index }) => index)).size).to.equal(5);
    await Promise.all(slots.map((slot) => opened.release(slot)));
    await opened.close();
    await eventually(async () => expectNoLeaks(atStart, await census()));
  });

  it('gives out every slot of its range at once, then says that there is none left', async () => {
    const opened = await open({ range: smallRange(), poolSize: 3 });
    const slots = await takeAll(opened, SLOTS);
    expect(new Set(slots.map(({ guestIp }) => guestIp)).size).to.equal(SLOTS);
    expect(hasReason(await failure(take(opened)), 'NETWORK_EXHAUSTED')).to.equal(true);
    await opened.release(slots[4] as NetworkSlot);
    expect((await take(opened)).index).to.equal(slots[4]?.index);
  });

  it('releases twice without complaint, and never the next holder’s slot', async () => {
    const opened = await open({ range: smallRange() });
    const [first, ...others] = await takeAll(opened, SLOTS);
    if (!first) throw new Error('no slot');
    await Promise.all([opened.release(first), opened.release({ ...first })]);
    expect(stands(first)).to.equal(false);
    const next = await take(opened);
    expect(next.index).to.equal(first.index);
    await opened.release(first);
    expect(stands(next)).to.equal(true);
    await opened.adopt(next);
    await Promise.all(others.map((slot) => opened.release(slot)));
  });

  it('takes nothing of another instance for its own', async () => {
    const opened = await open();
    const slot = await take(opened);
    const foreign = { ...slot, namespace: `wrenn-zzzz9-${slot.index}`, lease: 'other' };
    await opened.release(foreign);
    expect(hasReason(await failure(opened.adopt(foreign)), 'SANDBOX_LOST')).to.equal(true);
    await opened.sweep([foreign, slot]);
    expect(stands(slot)).to.equal(true);
  });

  describe('when a step of acquire fails', () => {
    for (const moment of ['before', 'after'] as const) {
      for (const step of [0, 1, 2]) {
        it(`leaves nothing behind: step ${step + 1}, ${moment} it was done`, async () => {
          const opened = await open({ range: smallRange() });
          const before = await census();
          commands.arm(step, moment);
          expect(await failure(take(opened))).to.be.instanceOf(InjectedFault);
          await eventually(async () => expectUnchanged(before, await census()));
          commands.disarm();
          await takeAll(opened, SLOTS);
        });

        it(`recovers when the undo fails as well: step ${step + 1}, ${moment} it was done`, async () => {
          const opened = await open({ range: smallRange() });
          commands.arm(step, moment, 10);
          expect(await failure(take(opened))).to.be.instanceOf(InjectedFault);
          commands.disarm();
          await opened.sweep([]);
          await takeAll(opened, SLOTS);
        });
      }
    }

    it('leaves nothing behind when the record cannot be written, with and without a pool', async () => {
      const fails = async () => {
        throw new Error('disk full');
      };
      for (const poolSize of [0, 1]) {
        const opened = await open({ range: smallRange(), poolSize });
        await eventually(() => expect(opened.readyCount).to.equal(poolSize));
        const before = await census();
        await failure(opened.acquire(fails, unhurried));
        await eventually(() => expect(opened.readyCount).to.equal(poolSize));
        const after = await census();
        for (const kind of ['namespace', 'link', 'route'] as const) {
          expect(after[kind].length, kind).to.equal(before[kind].length);
        }
        await takeAll(opened, SLOTS);
        await opened.close();
        const last = await open();
        await last.sweep([]);
        await last.close();
      }
    });

    it('leaves nothing behind when the caller goes away, at any step', async () => {
      const opened = await open({ range: smallRange() });
      const before = await census();
      for (const step of [0, 1, 2, 3]) {
        const controller = new AbortController();
        const reason = new Error('gone');
        const commandsOfStep = step;
        const watch = setInterval(() => {
          if (commands.launched.length >= commandsOfStep) controller.abort(reason);
        }, 1);
        commands.restart();
        const acquired = opened.acquire(async () => undefined, controller.signal);
        const outcome = await acquired.catch((error: unknown) => error);
        clearInterval(watch);
        // The last step may have been done before the caller was seen to go.
        if (outcome !== reason) await opened.release(await acquired);
        await eventually(async () => expectUnchanged(before, await census()));
      }
      const gone = AbortSignal.abort(new Error('gone'));
      await failure(opened.acquire(async () => expect.fail('recorded'), gone));
      await takeAll(opened, SLOTS);
    });
  });

  it('keeps the number of a slot that it could not take down, until it can', async () => {
    const opened = await open({ range: smallRange() });
    const slots = await takeAll(opened, SLOTS);
    const slot = slots[0] as NetworkSlot;
    commands.arm(0, 'before', 10);
    expect(await failure(opened.release(slot))).to.be.instanceOf(AggregateError);
    commands.disarm();
    expect(hasReason(await failure(take(opened)), 'NETWORK_EXHAUSTED')).to.equal(true);
    await opened.release(slot);
    expect((await take(opened)).index).to.equal(slot.index);
  });

  it('takes down the rest of a slot of which a part is gone already', async () => {
    const opened = await open();
    for (const args of [
      (slot: NetworkSlot) => ['link', 'del', slot.vethName],
      (slot: NetworkSlot) => ['netns', 'del', slot.namespace],
    ]) {
      const before = await census();
      const slot = await take(opened);
      await run('ip', args(slot));
      await opened.release(slot);
      await eventually(async () => expectUnchanged(before, await census()));
    }
  });

  it('fills the pool again after a failure', async () => {
    const opened = await open({ poolSize: 2 });
    await eventually(() => expect(opened.readyCount).to.equal(2));
    commands.arm(0, 'before');
    const slot = await take(opened);
    await eventually(() => expect(commands.launched).to.deep.equal(['ip']));
    expect(opened.readyCount).to.equal(1);
    commands.disarm();
    await opened.release(slot);
    await eventually(() => expect(opened.readyCount).to.equal(2));
  });

  describe('after the agent was killed', () => {
    it('adopts what is held, sweeps the rest, and goes on with the same range', async () => {
      const [held, lost] = await leaveBehind(instanceId, { poolSize: 2, slots: 2 });
      if (!held || !lost) throw new Error('no slots');
      expect((await census()).namespace).to.have.length(4);

      const opened = await open();
      expect(opened.range.split('.').slice(0, 2)).to.deep.equal(held.hostIp.split('.').slice(0, 2));
      await opened.adopt(held);
      const removed = await opened.sweep([held]);
      expect(removed).to.have.length(3);
      expect(stands(held)).to.equal(true);
      expect((await census()).namespace).to.deep.equal([held.namespace]);
      await opened.release(held);
      await opened.close();
      await eventually(async () => expectNoLeaks(atStart, await census()));
    });

    it('does not touch what is on the host before it knows who holds it', async () => {
      const range = smallRange();
      const left = await leaveBehind(instanceId, { range, poolSize: 1, slots: 3 });
      const opened = await open({ range, poolSize: 2 });
      const taken = await takeAll(opened, SLOTS - 4);
      expect(taken.map(({ index }) => index).sort()).to.deep.equal([5, 6, 7]);
      expect(hasReason(await failure(take(opened)), 'NETWORK_EXHAUSTED')).to.equal(true);
      for (const slot of left) await opened.adopt(slot);
    });

    it('builds a slot under a name that a leaked namespace, link or dead mount has', async () => {
      const range = smallRange();
      const opened = await open({ range });
      await opened.sweep([]);
      const id = instanceId;
      await run('ip', ['netns', 'add', `wrenn-${id}-1`]);
      await run('ip', ['link', 'add', `wv-${id}-2`, 'type', 'bridge']);
      await writeFile(`/run/netns/wrenn-${id}-3`, '');
      await run('ip', ['netns', 'add', `wrenn-${id}-4`]);
      await run('mount', ['--bind', `/run/netns/wrenn-${id}-4`, `/run/netns/wrenn-${id}-4`]);
      const slots = await takeAll(opened, 4);
      for (const slot of slots) await opened.adopt(slot);
    });

    it('goes on handing out slots while a long sweep runs', async () => {
      const opened = await open({ range: undefined });
      const lines = Array.from({ length: 120 }, (_, n) => `netns add wrenn-${instanceId}-${n + 1}`);
      await run('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
      const sweeping = opened.sweep([]);
      const slots = await takeAll(opened, 3);
      await sweeping;
      await eventually(async () => {
        expect((await census()).namespace).to.have.members(slots.map(({ namespace }) => namespace));
      });
      for (const slot of slots) await opened.adopt(slot);
    });

    it('frees the number of a held slot that was never adopted only at its release', async () => {
      const range = smallRange();
      const left = await leaveBehind(instanceId, { range, poolSize: 0, slots: 2 });
      const opened = await open({ range });
      await opened.sweep(left);
      expect(left.every(stands)).to.equal(true);
      const taken = await takeAll(opened, SLOTS - 2);
      expect(taken.map(({ index }) => index).sort()).to.deep.equal([3, 4, 5, 6, 7]);
      await opened.release(left[1] as NetworkSlot);
      expect((await take(opened)).index).to.equal(2);
    });

    it('does not give a slot of an earlier run’s record away with a release that comes late', async () => {
      const range = smallRange();
      const [recorded] = await leaveBehind(instanceId, { range, poolSize: 0, slots: 1 });
      if (!recorded) throw new Error('no slot');
      // The slot was recorded and never built, and the number is somebody else's by now.
      await run('ip', ['link', 'del', recorded.vethName]);
      await run('ip', ['netns', 'del', recorded.namespace]);
      const opened = await open({ range });
      const next = await take(opened);
      expect(next.index).to.equal(recorded.index);
      await opened.release(recorded);
      expect(stands(next)).to.equal(true);
      expect(hasReason(await failure(opened.adopt(recorded)), 'SANDBOX_LOST')).to.equal(true);
    });
  });

  describe('adopt', () => {
    for (const [part, breakIt] of [
      ['link', (slot: NetworkSlot) => ['ip', 'link', 'del', slot.vethName]],
      ['namespace', (slot: NetworkSlot) => ['ip', 'netns', 'del', slot.namespace]],
      ['tap', (slot: NetworkSlot) => ['ip', '-n', slot.namespace, 'link', 'del', 'tap0']],
      ['firewall', ({ namespace }: NetworkSlot) => inside(namespace, 'nft', 'flush', 'ruleset')],
    ] as const) {
      it(`finds out that the ${part} is gone, and leaves the rest to release`, async () => {
        const opened = await open();
        const before = await census();
        const slot = await take(opened);
        await opened.adopt(slot);
        const [program = '', ...args] = breakIt(slot);
        await run(program, args);
        expect(hasReason(await failure(opened.adopt(slot)), 'SANDBOX_LOST')).to.equal(true);
        await opened.release(slot);
        await eventually(async () => expectUnchanged(before, await census()));
      });
    }

    it('refuses a slot whose addresses are of another range', async () => {
      const range = smallRange();
      const [slot] = await leaveBehind(instanceId, { range, poolSize: 0, slots: 1 });
      if (!slot) throw new Error('no slot');
      const opened = await open({ range: smallRange() });
      expect(hasReason(await failure(opened.adopt(slot)), 'SANDBOX_LOST')).to.equal(true);
      await opened.release(slot);
      expect(stands(slot)).to.equal(false);
    });
  });

  function inside(namespace: string, ...command: string[]): string[] {
    return ['nsenter', `--net=/run/netns/${namespace}`, '--', ...command];
  }
});
