/**
 * The next holder of a slot hears nothing of the one before: packets of the
 * earlier holder's connections, which the host still tracks and translates to
 * the slot's address, end in the slot's new namespace.
 */
import { randomInt } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { createNetwork, type HostNetwork } from '../../agent/network/host-network.js';
import { GUEST } from '../../agent/network/layout.js';
import type { NetworkSlot } from '../../agent/network/network.js';
import { randomId } from '../../lib/ids/random-id.js';
import { silentLog } from '../../lib/log/log.js';
import { answerTo, questionFor } from '../support/dns/messages.js';
import { type DnsServer, startDnsServer } from '../support/dns/server.js';
import { eventually } from '../support/eventually.js';
import { buildFrameWire, packetsInto, TestGuest } from '../support/network/guest.js';
import { smallRange, unhurried } from '../support/network/instances.js';
import { Outside } from '../support/network/outside.js';
import { requireNeed } from '../support/requirements.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';

const PORT = randomInt(20_000, 30_000);
const SLOTS = 7;

describe('a network slot that is used again', function () {
  this.timeout(60_000);

  let directory: TemporaryDirectory;
  let outside: Outside;
  let network: HostNetwork;
  let resolver: DnsServer;
  let wirePath: string;
  const undo: (() => Promise<unknown>)[] = [];

  before(async function () {
    requireNeed(this, 'root', 'netns');
    directory = await temporaryDirectory();
    undo.push(() => directory.remove());
    wirePath = await buildFrameWire(directory.path);
    const resolvConfPath = join(directory.path, 'resolv.conf');
    const address = `127.53.${randomInt(1, 255)}.${randomInt(1, 255)}`;
    await writeFile(resolvConfPath, `nameserver ${address}\n`);
    resolver = await startDnsServer(address, 53, () => []);
    undo.push(() => resolver.close());
    outside = await Outside.start(randomId(5));
    undo.push(() => outside.stop());
    await outside.place.listen(PORT);
    const [instanceId, range] = [randomId(5), smallRange()];
    network = await createNetwork({
      instanceId,
      range,
      poolSize: 0,
      log: silentLog,
      resolvConfPath,
    });
    undo.push(() => network.close());
  });

  after(async () => {
    for (const step of undo.reverse()) await step();
  });

  const take = async () => {
    const slot = await network.acquire(async () => undefined, unhurried);
    undo.push(() => network.release(slot));
    return slot;
  };
  const startGuest = async (slot: NetworkSlot) => {
    const guest = await TestGuest.start(slot, wirePath);
    undo.push(() => guest.stop());
    return guest;
  };
  const packetsTo = (guest: TestGuest) => packetsInto(guest.namespace, guest.linkName);

  it('gives the next holder no packet of the one before', async () => {
    // All numbers are taken, so the one that is released comes next.
    const slots: NetworkSlot[] = [];
    while (slots.length < SLOTS) slots.push(await take());
    const first = slots[0] as NetworkSlot;

    const earlier = await startGuest(first);
    await earlier.place.hold(outside.address, PORT);
    const heard = await packetsTo(earlier);
    await outside.place.speak('still there?');
    await eventually(async () => {
      expect((await packetsTo(earlier)) - heard, 'control').to.be.at.least(2);
    });
    await earlier.place.say(GUEST.gateway, 53, questionFor('late.example'));
    await eventually(() => expect(resolver.questions).to.have.length.at.least(1));

    await earlier.stop();
    await network.release(first);
    const second = await take();
    expect(second.index).to.equal(first.index);
    const next = await startGuest(second);
    const before = await packetsTo(next);

    await outside.place.speak('anybody?');
    await eventually(async () => {
      const question = resolver.questions.at(-1);
      if (question) resolver.send(answerTo(question.message, '192.0.2.53'), question.port);
      // The TCP segment is sent again and again, the datagram and the answer come once.
      const arrived = await packetsInto(second.namespace, GUEST.uplinkName);
      expect(arrived, 'passed on by the host').to.be.at.least(3);
    });
    expect(await packetsTo(next)).to.equal(before);

    await next.place.hold(outside.address, PORT);
    expect(await packetsTo(next), 'its own connections').to.be.greaterThan(before);
  });
});
