/**
 * A network for one machine under test, without the agent's: a namespace with a
 * TAP that belongs to the VMM's user, and a route from the host to the guest.
 */
import { randomInt } from 'node:crypto';
import type { MachineNetwork } from '../../agent/vmm/driver.js';
import { randomId } from '../../lib/ids/random-id.js';
import { run } from '../../lib/process/run.js';

/** Networks of eight addresses that 10.255.0.0/16 has: four for the link to the host, four for the guest. */
const NETWORKS = 65_536 / 8;

export interface TapNetwork extends MachineNetwork {
  remove(): Promise<void>;
}

export async function createTapNetwork(uid: number): Promise<TapNetwork> {
  const namespace = `wt-${randomId(8)}`;
  const veth = namespace;
  const address = addressesOf(randomInt(NETWORKS) * 8);
  const inside = ['-n', namespace];
  const steps = [
    ['netns', 'add', namespace],
    ['link', 'add', veth, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace],
    ['address', 'add', `${address(1)}/30`, 'dev', veth],
    ['link', 'set', veth, 'up'],
    [...inside, 'address', 'add', `${address(2)}/30`, 'dev', 'eth0'],
    [...inside, 'link', 'set', 'eth0', 'up'],
    [...inside, 'tuntap', 'add', 'dev', 'tap0', 'mode', 'tap', 'user', String(uid)],
    [...inside, 'address', 'add', `${address(5)}/30`, 'dev', 'tap0'],
    [...inside, 'link', 'set', 'tap0', 'up'],
    ['route', 'add', `${address(4)}/30`, 'via', address(2)],
    ['netns', 'exec', namespace, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward'],
  ];
  for (const step of steps) await run('ip', step);
  return {
    namespace,
    tapName: 'tap0',
    guestMac: '02:00:00:00:00:01',
    guestAddress: `${address(6)}/30`,
    gatewayAddress: address(5),
    guestIp: address(6),
    // The veth pair and the route go with the namespace.
    remove: async () => void (await run('ip', ['netns', 'delete', namespace])),
  };
}

function addressesOf(start: number): (offset: number) => string {
  return (offset) => `10.255.${(start + offset) >> 8}.${(start + offset) & 255}`;
}
