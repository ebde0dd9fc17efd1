/** What an instance has once on the host: its range, rules and forwarder; and several instances side by side. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { hostCommands, type NetworkCommands } from '../../agent/network/commands.js';
import {
  createNetwork,
  type HostNetwork,
  type NetworkOptions,
} from '../../agent/network/host-network.js';
import { chooseRange } from '../../agent/network/instance/choose-range.js';
import { formatRange, parseRange, rangesOverlap } from '../../agent/network/ipv4.js';
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
import { temporaryDirectory } from '../support/temporary-directory.js';

describe('the network of an instance', function () {
  this.timeout(60_000);

  let ids: [string, string];
  let atStart: Census;
  let networks: HostNetwork[];

  const census = (instanceIds: readonly string[] = ids) => takeCensus({ instanceIds });
  const open = async (options: Partial<NetworkOptions> = {}): Promise<HostNetwork> => {
    const opened = await createNetwork({
      instanceId: ids[0],
      poolSize: 0,
      log: silentLog,
      ...options,
    });
    networks.push(opened);
    return opened;
  };
  const take = (from: HostNetwork) => from.acquire(async () => undefined, unhurried);
  const refusal = async (options: Partial<NetworkOptions>): Promise<string> => {
    try {
      await open(options);
    } catch (error) {
      if (hasReason(error, 'HOST_REQUIREMENT')) return error.message;
      throw error;
    }
    throw new Error('was not refused');
  };

  before(function () {
    requireNeed(this, 'root', 'netns');
  });

  beforeEach(async () => {
    ids = [randomId(5), randomId(5)];
    networks = [];
    atStart = await census();
  });

  afterEach(async () => {
    for (const opened of networks) await opened.close();
    for (const instanceId of ids) {
      const last = await createNetwork({ instanceId, poolSize: 0, log: silentLog });
      await last.sweep([]);
      await last.close();
    }
    await eventually(async () => expectNoLeaks(atStart, await census()));
  });

  it('takes everything down at the end, and stands a second close', async () => {
    const opened = await open({ poolSize: 1 });
    await opened.release(await take(opened));
    await opened.close();
    await opened.close();
    await eventually(async () => expectNoLeaks(atStart, await census()));
    expect(hasReason(await take(opened).catch((error) => error), 'SHUTTING_DOWN')).to.equal(true);
  });

  it('leaves the rules that confine a slot in use, and takes them over the next time', async () => {
    const first = await open();
    const slot = await take(first);
    const before = await census();
    await first.close();
    const between = await census();
    for (const kind of ['nft table', 'route', 'link', 'namespace'] as const) {
      expect(between[kind], kind).to.deep.equal(before[kind]);
    }
    const second = await open();
    expect(second.range).to.equal(first.range);
    await second.adopt(slot);
    await second.release(slot);
    await second.close();
    await eventually(async () => expectNoLeaks(atStart, await census()));
  });

  it('keeps its range and its connections’ rules when it starts again', async () => {
    const [slot] = await leaveBehind(ids[0], { poolSize: 0, slots: 1 });
    const before = await census();
    const opened = await open();
    expect((await census()).route).to.deep.equal(before.route);
    if (slot) await opened.adopt(slot);
  });

  describe('its range', () => {
    it('is the one that is set', async () => {
      const range = smallRange();
      const opened = await open({ range });
      expect(opened.range).to.equal(range);
      const { base } = parseRange(range) ?? { base: 0 };
      const first = formatRange({ base: base + 2, prefixLength: 32 });
      expect(`${(await take(opened)).hostIp}/32`).to.equal(first);
    });

    it('is chosen apart from what other instances have', async () => {
      const [first, second] = [await open(), await open({ instanceId: ids[1] })];
      const [a, b] = [parseRange(first.range), parseRange(second.range)];
      expect(a && b && rangesOverlap(a, b)).to.equal(false);
    });

    it('is refused when another instance has it, or a part of it', async () => {
      const range = smallRange();
      await open({ range });
      const wider = range.replace(/\.\d+\/28$/, '.0/24');
      for (const overlapping of [range, wider]) {
        const message = await refusal({ instanceId: ids[1], range: overlapping });
        expect(message).to.contain(`wb-${ids[0]}`);
      }
      expect((await census([ids[1]])).link).to.deep.equal([]);
    });

    it('is refused when it hides the host’s own addresses or name servers', async () => {
      const { stdout } = await run('ip', ['-4', '-j', 'route', 'show', 'scope', 'link']);
      const [route] = (JSON.parse(stdout) as { dst: string; dev: string }[]).filter(({ dev }) =>
        /^(eth|en)/.test(dev),
      );
      if (route) {
        const base = route.dst.replace(/\.\d+\/\d+$/, '.0/24');
        expect(await refusal({ range: base })).to.contain(route.dev);
      }
      const range = smallRange();
      const address = range.replace(/(\d+)\/28$/, (_, last) => String(Number(last) + 5));
      await using directory = await temporaryDirectory();
      const resolvConfPath = join(directory.path, 'resolv.conf');
      await writeFile(resolvConfPath, `nameserver ${address}\n`);
      expect(await refusal({ range, resolvConfPath })).to.contain(address);
    });

    it('differs between two instances that choose the same one at the same moment', async () => {
      const [a, b] = twinIds();
      ids = [a, b];
      const meeting = new Meeting(2);
      const opened = await Promise.all(
        [a, b].map((instanceId) => open({ instanceId, commands: meeting.commands() })),
      );
      const [first, second] = opened.map(({ range }) => range);
      expect(first).not.to.equal(second);
      expect([first, second]).to.include(formatRange(chooseRange(a, [])));
    });

    it('is kept when the host gets an overlapping route while it is in use', async () => {
      const first = await open();
      const slot = await take(first);
      await first.close();
      const wider = first.range.replace(/\.\d+\.\d+\/18$/, '.0.0/16');
      await run('ip', ['route', 'add', 'unreachable', wider]);
      try {
        const second = await open({ range: first.range });
        await second.adopt(slot);
        const message = await refusal({ instanceId: ids[1], range: wider });
        expect(message).to.contain(wider);
        await second.release(slot);
      } finally {
        await run('ip', ['route', 'del', 'unreachable', wider]);
      }
    });

    it('can be changed when no sandbox needs the old one', async () => {
      await leaveBehind(ids[0], { range: smallRange(), poolSize: 1, slots: 0 });
      const range = smallRange();
      const opened = await open({ range });
      expect(opened.range).to.equal(range);
      await opened.sweep([]);
      expect((await take(opened)).index).to.equal(1);
      const { route } = await census();
      const claims = route.filter((line) => /^(local )?10\./.test(line));
      expect(claims.filter((line) => line.endsWith(`dev wb-${ids[0]}`))).to.deep.equal([
        `${range} dev wb-${ids[0]}`,
        `local ${formatRange({ base: (parseRange(range)?.base ?? 0) + 1, prefixLength: 32 }).replace('/32', '')} dev wb-${ids[0]}`,
      ]);
    });
  });

  it('leaves nothing behind when a step of its start fails', async () => {
    const counting = new FaultyCommands();
    await (await open({ commands: counting })).close();
    const steps = counting.launched.indexOf('nft') + 1;
    expect(steps).to.be.greaterThan(3);
    for (let step = 0; step < steps; step += 1) {
      for (const moment of ['before', 'after'] as const) {
        const commands = new FaultyCommands();
        commands.arm(step, moment);
        const outcome = await open({ commands }).catch((error: unknown) => error);
        // A claim that fails is tried again.
        if (outcome instanceof Error) expect(causeOf(outcome)).to.be.instanceOf(InjectedFault);
        else await (outcome as HostNetwork).close();
        await eventually(async () => expectNoLeaks(atStart, await census()));
      }
    }
  });

  it('says what is wrong when the forwarder’s port is taken, and leaves nothing behind', async () => {
    const taken = await open();
    // The same address again: the first forwarder has the port.
    expect(await refusal({ range: taken.range })).to.contain('port 53');
    await taken.close();
    await eventually(async () => expectNoLeaks(atStart, await census()));
  });

  it('is not disturbed by what another instance does', async () => {
    const other = await open({ instanceId: ids[1], poolSize: 1 });
    const slot = await take(other);
    await eventually(() => expect(other.readyCount).to.equal(1));
    const before = await census([ids[1]]);

    await leaveBehind(ids[0], { poolSize: 1, slots: 2 });
    const opened = await open({ poolSize: 1 });
    await opened.sweep([]);
    await opened.release(await take(opened));
    await opened.close();

    expectUnchanged(before, await census([ids[1]]));
    await other.adopt(slot);
  });
});

/** Two ids whose search for a range starts at the same one. */
function twinIds(): [string, string] {
  const seen = new Map<number, string>();
  for (;;) {
    const id = randomId(5);
    const { base } = chooseRange(id, []);
    const twin = seen.get(base);
    if (twin !== undefined && twin !== id) return [twin, id];
    seen.set(base, id);
  }
}

/** Lets instances read the host's routes, and go on only when all have read them. */
class Meeting {
  readonly #count: number;
  #arrived = 0;
  #everybody: (() => void)[] = [];

  constructor(count: number) {
    this.#count = count;
  }

  commands(): NetworkCommands {
    return {
      ...hostCommands,
      ipQuery: async (...args) => {
        const result = await hostCommands.ipQuery(...args);
        await this.#wait();
        return result;
      },
    };
  }

  async #wait(): Promise<void> {
    this.#arrived += 1;
    if (this.#arrived > this.#count) return;
    const met = new Promise<void>((resolve) => this.#everybody.push(resolve));
    if (this.#arrived === this.#count) for (const go of this.#everybody) go();
    await met;
  }
}

function causeOf(error: Error): unknown {
  return error.cause instanceof Error ? causeOf(error.cause) : error;
}
