/**
 * What a guest can reach and what can reach it: real namespaces, real rules,
 * and frames that come out of the slot's real tap. Each denial has a control
 * beside it, so that silence means "dropped" and not "not there".
 */
import { randomInt } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { createNetwork, type HostNetwork } from '../../agent/network/host-network.js';
import { GUEST } from '../../agent/network/layout.js';
import type { NetworkSlot } from '../../agent/network/network.js';
import { DENIED_RANGES } from '../../agent/network/rules/denied-ranges.js';
import { GUEST_CONNECTIONS_MAX } from '../../agent/network/rules/namespace-rules.js';
import { randomId } from '../../lib/ids/random-id.js';
import { silentLog } from '../../lib/log/log.js';
import { run } from '../../lib/process/run.js';
import { type Census, expectNoLeaks, takeCensus } from '../support/census/census.js';
import { addressIn, answerTo, nameIn, questionFor } from '../support/dns/messages.js';
import { type DnsServer, framed, startDnsServer } from '../support/dns/server.js';
import { eventually } from '../support/eventually.js';
import {
  arpFrame,
  ethernet,
  type Ipv4Fields,
  icmpEcho,
  ipv4Frame,
  ipv4Packet,
  Protocol,
  sctpInit,
  tcpSyn,
  udpDatagram,
} from '../support/network/frames.js';
import { buildFrameWire, packetsInto, TestGuest } from '../support/network/guest.js';
import { Observer } from '../support/network/observer.js';
import { LAST_OCTET_MAX, Outside } from '../support/network/outside.js';
import { Place } from '../support/network/place.js';
import { requireNeed } from '../support/requirements.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';

const PORT = randomInt(20_000, 30_000);
const IDS = [randomId(5), randomId(5)] as const;
const silent = { outcome: 'silent' };
const answered = { outcome: 'answered', base64: Buffer.from('hello').toString('base64') };

/** Private addresses that really answer: the outside has them, and the host routes there. */
const octet = () => randomInt(1, 255);
const PRIVATE = [
  `10.${randomInt(64, 128)}.${octet()}.${octet()}`,
  `172.${randomInt(16, 32)}.${octet()}.${octet()}`,
  `192.168.${octet()}.${octet()}`,
  `100.${randomInt(64, 128)}.${octet()}.${octet()}`,
  `198.18.${octet()}.${octet()}`,
  `169.254.${randomInt(2, 160)}.${octet()}`,
];

describe('the network of a guest', function () {
  this.timeout(60_000);

  let directory: TemporaryDirectory;
  let atStart: Census | undefined;
  let resolver: DnsServer;
  let outside: Outside;
  let host: Place;
  let observer: Observer;
  let networks: HostNetwork[];
  /** Two slots of the first instance, one of the second. */
  let slots: NetworkSlot[];
  let guests: TestGuest[];
  let guest: TestGuest;
  let slot: NetworkSlot;
  const undo: (() => Promise<unknown>)[] = [];
  const census = () => takeCensus({ instanceIds: IDS, directories: [directory.path] });

  before(async function () {
    requireNeed(this, 'root', 'netns');
    directory = await temporaryDirectory();
    undo.push(() => directory.remove());
    const wirePath = await buildFrameWire(directory.path);
    const resolvConfPath = join(directory.path, 'resolv.conf');
    const resolverAddress = `127.53.${octet()}.${octet()}`;
    await writeFile(resolvConfPath, `nameserver ${resolverAddress}\n`);
    atStart = await census();

    resolver = await startDnsServer(resolverAddress, 53, (q) => [answerTo(q, '192.0.2.53')]);
    undo.push(() => resolver.close());
    outside = await Outside.start(randomId(5), PRIVATE);
    undo.push(() => outside.stop());
    host = Place.enter();
    undo.push(() => host.leave());
    await Promise.all([outside.place.listen(PORT), host.listen(PORT)]);

    networks = [];
    slots = [];
    guests = [];
    for (const [instanceId, count] of [
      [IDS[0], 2],
      [IDS[1], 1],
    ] as const) {
      const network = await createNetwork({
        instanceId,
        poolSize: 0,
        log: silentLog,
        resolvConfPath,
      });
      undo.push(() => network.close());
      networks.push(network);
      for (let number = 0; number < count; number += 1) {
        const taken = await network.acquire(async () => undefined, new AbortController().signal);
        undo.push(() => network.release(taken));
        slots.push(taken);
        const started = await TestGuest.start(taken, wirePath);
        undo.push(() => started.stop());
        guests.push(started);
        await started.place.listen(PORT);
      }
    }
    [guest, slot] = [guests[0] as TestGuest, slots[0] as NetworkSlot];
    observer = await Observer.start(IDS[0]);
    undo.push(() => observer.stop());
  });

  beforeEach(() => observer.clear());

  after(async () => {
    for (const step of undo.splice(1).reverse()) await step();
    const first = atStart;
    if (first) await eventually(async () => expectNoLeaks(first, await census()));
    await undo[0]?.();
  });

  /** A frame as the guest's own stack would send it, but for what `fields` change. */
  const frame = (fields: Partial<Ipv4Fields> & { destination: string }, mac: string = GUEST.mac) =>
    ipv4Frame(GUEST.gatewayMac, mac, {
      source: GUEST.address,
      protocol: Protocol.UDP,
      payload: udpDatagram(4000, PORT),
      ...fields,
    });
  const passed = async (destination: string, protocol?: number) =>
    (await observer.seen()).passedOn
      .filter((line) => line.includes(` ${destination} `))
      .filter((line) => protocol === undefined || line.endsWith(` ${protocol}`));
  /** Waits until a last, good frame is through, so that what came before it has had its chance. */
  const settle = async () => {
    const last = `203.0.113.${randomInt(LAST_OCTET_MAX, 254)}`;
    guest.send(frame({ destination: last }));
    await eventually(async () => expect(await passed(last)).not.to.deep.equal([]));
  };

  it('lets the host reach the guest by its address', async () => {
    expect(await host.tcp(slot.guestIp, PORT)).to.deep.equal(answered);
    expect(await host.udp(slot.guestIp, PORT, 'hello')).to.deep.equal(answered);
    const sources = (await guest.place.received()).map((line) => line.split(/[ :]/)[1]);
    expect(new Set(sources)).to.deep.equal(new Set([slot.hostIp]));
  });

  it('lets the guest reach the internet, which sees the host', async () => {
    expect(await guest.place.tcp(outside.address, PORT, 'hello')).to.deep.equal(answered);
    expect(await guest.place.udp(outside.address, PORT, 'hello')).to.deep.equal(answered);
    const sources = new Set((await outside.place.received()).map((line) => line.split(/[ :]/)[1]));
    expect([...sources]).to.deep.equal([outside.hostAddress]);
  });

  it('keeps the guest from private addresses that the host reaches', async () => {
    await Promise.all(
      PRIVATE.map(async (address) => {
        expect(await host.tcp(address, PORT), `control: host to ${address}`).to.deep.equal(
          answered,
        );
        expect(await guest.place.tcp(address, PORT), `tcp ${address}`).to.deep.equal(silent);
        expect(await guest.place.udp(address, PORT, 'x'), `udp ${address}`).to.deep.equal(silent);
      }),
    );
    for (const address of PRIVATE) expect(await passed(address), address).to.deep.equal([]);
  });

  it('drops every denied range, by every protocol, and passes all of these to the internet', async () => {
    const payloads = new Map<number, (to: string) => Buffer>([
      [Protocol.ICMP, () => icmpEcho()],
      [Protocol.TCP, (to: string) => tcpSyn(GUEST.address, to, 4000, PORT)],
      [Protocol.UDP, () => udpDatagram(4000, PORT)],
      [Protocol.GRE, () => Buffer.alloc(8)],
      [Protocol.SCTP, () => sctpInit()],
    ]);
    const sendAll = (destination: string) => {
      for (const [protocol, payloadFor] of payloads) {
        guest.send(frame({ destination, protocol, payload: payloadFor(destination) }));
      }
    };
    const sampleOf = (range: string) => {
      const [a = 0, b = 0] = range.split('.').map((part) => Number.parseInt(part, 10));
      return [`${a}.${b}.0.77`, `${a}.${b}.0.254`];
    };
    const metadata = ['169.254.169.254', '169.254.170.2', '192.0.0.192'];
    const last = ['10.255.255.255', '172.31.255.254', '100.127.255.254', '198.19.255.254'];
    const denied = [
      ...DENIED_RANGES.flatMap(sampleOf),
      ...metadata,
      ...last,
      '239.255.255.250',
      '255.255.255.255',
    ];
    for (const destination of denied) sendAll(destination);
    await settle();
    const seen = await observer.seen();
    const got = [...seen.byHost, ...seen.passedOn].filter((line) =>
      denied.includes(line.split(' ')[1] ?? ''),
    );
    expect(got).to.deep.equal([]);

    sendAll(outside.address);
    const protocols = async () => (await passed(outside.address)).map((line) => line.split(' ')[2]);
    await eventually(async () => {
      expect(await protocols(), 'control').to.have.members([...payloads.keys()].map(String));
    });
  });

  it('keeps the guest from the host, on every address of it', async () => {
    const { stdout } = await run('ip', ['-4', '-j', 'addr', 'show', 'scope', 'global']);
    const links = JSON.parse(stdout) as { ifname: string; addr_info: { local: string }[] }[];
    // Links of other tests on this machine may be gone in a moment.
    const own = [...IDS, outside.linkName];
    const addresses = links
      .filter(({ ifname }) => /^(eth|en)/.test(ifname) || own.some((id) => ifname.includes(id)))
      .flatMap(({ addr_info }) => addr_info.map(({ local }) => local));
    expect(addresses).to.include.members([slot.hostIp, slots[2]?.hostIp, outside.hostAddress]);
    await Promise.all(
      addresses.map(async (address = '') => {
        expect(await host.tcp(address, PORT), `control: ${address}`).to.deep.equal(answered);
        expect(await guest.place.tcp(address, PORT), `tcp ${address}`).to.deep.equal(silent);
        expect(await guest.place.udp(address, PORT, 'x'), `udp ${address}`).to.deep.equal(silent);
        guest.send(frame({ destination: address, protocol: Protocol.ICMP, payload: icmpEcho() }));
      }),
    );
    await settle();
    expect((await observer.seen()).byHost).to.deep.equal([]);
  });

  it('keeps the guest from its namespace and from its own outer address', async () => {
    for (const address of [GUEST.gateway, slot.guestIp]) {
      expect(await guest.place.tcp(address, PORT), address).to.deep.equal(silent);
      expect(await guest.place.udp(address, PORT, 'x'), address).to.deep.equal(silent);
    }
  });

  for (const [place, whose] of [
    [1, 'of its own instance'],
    [2, 'of another instance'],
  ] as const) {
    it(`keeps the guest from another guest ${whose}`, async () => {
      const [other, otherSlot] = [guests[place] as TestGuest, slots[place] as NetworkSlot];
      expect(await host.tcp(otherSlot.guestIp, PORT), 'control').to.deep.equal(answered);
      const count = (await other.place.received()).length;
      expect(await guest.place.tcp(otherSlot.guestIp, PORT)).to.deep.equal(silent);
      expect(await guest.place.udp(otherSlot.guestIp, PORT, 'x')).to.deep.equal(silent);
      expect(await other.place.received()).to.have.length(count);
      expect(await passed(otherSlot.guestIp)).to.deep.equal([]);
    });
  }

  it('lets nobody outside open a connection to a guest, or ask the forwarder', async () => {
    const forwarder = (networks[0]?.range.split('/')[0] ?? '').replace(/\.0$/, '.1');
    const arrived = () => packetsInto(slot.namespace, GUEST.uplinkName);
    const before = await arrived();
    expect(await outside.place.tcp(outside.hostAddress, PORT), 'control').to.deep.equal(answered);
    expect(await outside.place.tcp(slot.guestIp, PORT)).to.deep.equal(silent);
    expect(await outside.place.udp(slot.guestIp, PORT, 'x')).to.deep.equal(silent);
    const question = questionFor('www.example.com');
    expect(await outside.place.udp(forwarder, 53, question)).to.deep.equal(silent);
    expect(await arrived(), 'packets at the slot').to.equal(before);
  });

  it('answers the guest’s DNS questions, whichever server it asks', async () => {
    for (const server of [GUEST.gateway, '8.8.8.8', '10.0.0.53', slot.hostIp]) {
      const answer = await guest.place.udp(server, 53, questionFor(`for-${server}.example`));
      expect(answer.outcome, server).to.equal('answered');
      const bytes = Buffer.from('base64' in answer ? answer.base64 : '', 'base64');
      expect(addressIn(bytes), server).to.equal('192.0.2.53');
    }
    const names = resolver.questions.map(({ message }) => nameIn(message));
    expect(names).to.include('for-8.8.8.8.example');
    const byTcp = framed(questionFor('tcp.example')).toString('latin1');
    expect((await guest.place.tcp('9.9.9.9', 53, byTcp)).outcome).to.equal('answered');
    expect(resolver.questions.at(-1)?.protocol).to.equal('tcp');
  });

  it('drops what the guest sends under other addresses than its own', async () => {
    const destination = outside.address;
    const forged = ['169.254.0.20', '10.0.0.1', '0.0.0.0', '127.0.0.1', '8.8.8.8', GUEST.gateway];
    for (const source of [...forged, slot.guestIp, slot.hostIp, slots[1]?.guestIp ?? '']) {
      guest.send(frame({ source, destination }));
    }
    guest.send(frame({ destination }, '02:57:52:4e:00:99'));
    guest.send(frame({ destination }, GUEST.gatewayMac));
    await settle();
    expect(await passed(destination)).to.deep.equal([]);

    guest.send(frame({ destination }));
    await eventually(async () => {
      expect(await passed(destination, Protocol.UDP), 'control').to.have.length(1);
    });
  });

  it('drops packets with IP options, IPv6, tagged frames and other protocols of the link', async () => {
    const destination = outside.address;
    const looseRoute = Buffer.from([131, 7, 4, 10, 0, 0, 1, 0]);
    guest.send(frame({ destination, options: looseRoute }));
    guest.send(frame({ destination, options: Buffer.from([148, 4, 0, 0]) }));
    const packet = ipv4Packet({ source: GUEST.address, destination, protocol: Protocol.UDP });
    const tagged = Buffer.concat([Buffer.from([0, 5, 8, 0]), packet]);
    guest.send(ethernet(GUEST.gatewayMac, GUEST.mac, 0x8100, tagged));
    for (const etherType of [0x86dd, 0x88cc, 0x888e, 0x8847]) {
      guest.send(ethernet(GUEST.gatewayMac, GUEST.mac, etherType, packet));
    }
    await settle();
    expect(await passed(destination)).to.deep.equal([]);
  });

  it('does not let a fragment around the rules', async () => {
    const MORE_FRAGMENTS = 0x2000;
    const denied = PRIVATE[2] ?? '';
    const whole = udpDatagram(4001, PORT, Buffer.alloc(1000));
    for (const destination of [denied, outside.address]) {
      const parts = [whole.subarray(0, 512), whole.subarray(512)];
      guest.send(frame({ destination, payload: parts[0] as Buffer, fragment: MORE_FRAGMENTS }));
      guest.send(frame({ destination, payload: parts[1] as Buffer, fragment: 512 / 8 }));
      guest.send(frame({ destination, payload: parts[1] as Buffer, fragment: 1 }));
    }
    await settle();
    expect(await passed(denied)).to.deep.equal([]);
    expect(await passed(outside.address, Protocol.UDP), 'control').to.have.length(1);
  });

  it('lets no ARP message of the guest change who its neighbours are', async () => {
    const neighbours = async () => {
      const { stdout } = await run('ip', [
        '-n',
        slot.namespace,
        'neigh',
        'show',
        'dev',
        slot.tapName,
      ]);
      return stdout.trim();
    };
    const before = await neighbours();
    guest.send(arpFrame('02:57:52:4e:00:99', GUEST.address, GUEST.address));
    for (let last = 1; last < 20; last += 1) {
      guest.send(arpFrame(GUEST.mac, `169.254.0.${last}`, GUEST.gateway));
      guest.send(arpFrame(GUEST.mac, `198.51.100.${last}`, GUEST.gateway));
    }
    guest.send(arpFrame(GUEST.mac, GUEST.gateway, GUEST.gateway));
    await settle();
    expect(await neighbours()).to.equal(before);
    expect(await guest.place.tcp(outside.address, PORT)).to.deep.equal(answered);
  });

  it('bounds the connections of a guest that opens them without end', async () => {
    const flood = guests[1] as TestGuest;
    const flooded = slots[1] as NetworkSlot;
    const perPort = 200;
    for (let count = 0; count < GUEST_CONNECTIONS_MAX + 1000; count += 1) {
      const destination = `203.0.113.${2 + Math.floor(count / perPort)}`;
      const payload = udpDatagram(10_000 + (count % perPort), PORT);
      flood.send(frame({ destination, payload }));
    }
    const tracked = async () => {
      const file = '/proc/sys/net/netfilter/nf_conntrack_count';
      const args = [`--net=/run/netns/${flooded.namespace}`, 'cat', file];
      return Number((await run('nsenter', args)).stdout);
    };
    await eventually(async () =>
      expect(await tracked()).to.be.at.least(GUEST_CONNECTIONS_MAX - 96),
    );
    await settle();
    expect(await tracked()).to.be.at.most(GUEST_CONNECTIONS_MAX + 16);
    expect(await guest.place.tcp(outside.address, PORT), 'the others').to.deep.equal(answered);
  });

  it('leaves the host’s forwarding switched on', async () => {
    expect((await readFile('/proc/sys/net/ipv4/ip_forward', 'utf8')).trim()).to.equal('1');
  });
});
