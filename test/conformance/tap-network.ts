/**
 * A network for one machine under test, without the agent's: a namespace with a
 * TAP that belongs to the VMM's user, and a route from the host to the guest.
 * All guests have the same addresses inside, so that one can be restored in
 * the network of another.
 */
import { randomInt } from 'node:crypto';
import { GUEST } from '../../agent/network/layout.js';
import type { MachineNetwork } from '../../agent/vmm/driver.js';
import { randomId } from '../../lib/ids/random-id.js';
import { run } from '../../lib/process/run.js';

/** Networks of four addresses that 10.255.0.0/16 has. */
const NETWORKS = 65_536 / 4;

export interface TapNetwork extends MachineNetwork {
  remove(): Promise<void>;
}

export async function createTapNetwork(uid: number): Promise<TapNetwork> {
  const namespace = `wt-${randomId(8)}`;
  const { tapName, gateway, gatewayMac, prefixLength } = GUEST;
  const address = addressesOf(randomInt(NETWORKS) * 4);
  await connectNamespace(namespace, address(1), address(2));
  const inside = ['-n', namespace];
  const steps = [
    [...inside, 'tuntap', 'add', 'dev', tapName, 'mode', 'tap', 'user', String(uid)],
    [...inside, 'link', 'set', tapName, 'address', gatewayMac],
    [...inside, 'address', 'add', `${gateway}/${prefixLength}`, 'dev', tapName],
    [...inside, 'link', 'set', tapName, 'up'],
    ['netns', 'exec', namespace, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward'],
    ['netns', 'exec', namespace, 'nft', guestRule()],
  ];
  for (const step of steps) await run('ip', step);
  return {
    namespace,
    tapName,
    guestMac: GUEST.mac,
    guestAddress: `${GUEST.address}/${prefixLength}`,
    gatewayAddress: gateway,
    guestIp: address(2),
    // The veth pair goes with the namespace.
    remove: async () => void (await run('ip', ['netns', 'delete', namespace])),
  };
}

async function connectNamespace(namespace: string, outside: string, own: string): Promise<void> {
  const veth = namespace;
  const inside = ['-n', namespace];
  const steps = [
    ['netns', 'add', namespace],
    ['link', 'add', veth, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace],
    ['address', 'add', `${outside}/30`, 'dev', veth],
    ['link', 'set', veth, 'up'],
    [...inside, 'address', 'add', `${own}/30`, 'dev', 'eth0'],
    [...inside, 'link', 'set', 'eth0', 'up'],
  ];
  for (const step of steps) await run('ip', step);
}

/** What comes to the namespace's address is the guest's. */
function guestRule(): string {
  return `
table ip test {
  chain guest {
    type nat hook prerouting priority dstnat;
    iifname eth0 dnat to ${GUEST.address}
  }
}`;
}

function addressesOf(start: number): (offset: number) => string {
  return (offset) => `10.255.${(start + offset) >> 8}.${(start + offset) & 255}`;
}
