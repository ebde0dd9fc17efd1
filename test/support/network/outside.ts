/**
 * What lies beyond the host: a namespace behind a link of the host that plays
 * the internet (203.0.113.0/24, which documentation reserves) and, by routes of
 * the host, any other address that a test names.
 */
import { randomInt } from 'node:crypto';
import { run } from '../../../lib/process/run.js';
import { Place } from './place.js';

/** Addresses of 203.0.113.0/24 from here on are nobody's. */
export const LAST_OCTET_MAX = 240;

export class Outside {
  /** Public-looking address of the outside. */
  readonly address: string;
  /** Public-looking address of the host towards it. */
  readonly hostAddress: string;
  readonly namespace: string;
  readonly linkName: string;
  readonly place: Place;

  private constructor(id: string, place: Place, addresses: { host: string; outside: string }) {
    this.namespace = `wt-outside-${id}`;
    this.linkName = `wo-${id}`;
    this.address = addresses.outside;
    this.hostAddress = addresses.host;
    this.place = place;
  }

  /** @param alsoReachable single addresses that the outside answers on as well. */
  static async start(id: string, alsoReachable: readonly string[] = []): Promise<Outside> {
    const addresses = await freeAddresses();
    const [namespace, link] = [`wt-outside-${id}`, `wo-${id}`];
    await ip(
      [],
      [
        `netns add ${namespace}`,
        `link add ${link} type veth peer name eth0 netns ${namespace}`,
        `addr add ${addresses.host}/30 dev ${link}`,
        `link set ${link} up`,
      ],
    );
    await ip(
      ['-n', namespace],
      [
        `addr add ${addresses.outside}/30 dev eth0`,
        `link set eth0 up`,
        `link set lo up`,
        `route add default via ${addresses.host}`,
        ...alsoReachable.map((address) => `addr add ${address}/32 dev lo`),
      ],
    );
    await ip(
      [],
      alsoReachable.map((address) => `route add ${address}/32 via ${addresses.outside}`),
    );
    return new Outside(id, Place.enter(namespace), addresses);
  }

  async stop(): Promise<void> {
    await this.place.leave();
    await ip([], [`link del ${this.linkName}`, `netns del ${this.namespace}`]);
  }
}

/** A pair of addresses that no other test on this machine has. */
async function freeAddresses(): Promise<{ host: string; outside: string }> {
  const { stdout } = await run('ip', ['-4', '-o', 'addr']);
  for (;;) {
    const base = 4 * randomInt(1, LAST_OCTET_MAX / 4);
    const [host, outside] = [`203.0.113.${base + 1}`, `203.0.113.${base + 2}`];
    if (!stdout.includes(`${host}/`)) return { host, outside };
  }
}

async function ip(place: string[], lines: string[]): Promise<void> {
  if (lines.length > 0)
    await run('ip', [...place, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
