/** What is on the host of a slot: builds it, checks it, and takes it down. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { NAMESPACE_DIRECTORY, type NetworkCommands } from '../commands.js';
import { slotLost } from '../errors.js';
import { GUEST, type InstanceLayout } from '../layout.js';
import type { NetworkSlot } from '../network.js';
import { namespaceRules } from '../rules/namespace-rules.js';

const LINK_DIRECTORY = '/sys/class/net';
/** A namespace name can have been mounted more than once; each pass takes one mount off. */
const REMOVAL_PASSES_MAX = 3;

/** The two names by which a slot is found on the host. */
export type SlotNames = Pick<NetworkSlot, 'namespace' | 'vethName'>;

/** Builds a slot, in three process launches; a failure leaves its parts for `removeSlot`. */
export async function buildSlot(
  commands: NetworkCommands,
  layout: InstanceLayout,
  slot: NetworkSlot,
  signal?: AbortSignal,
): Promise<void> {
  const { namespace } = slot;
  await commands.ip(hostCommandsOf(slot), { signal });
  await commands.ip(namespaceCommandsOf(slot), { namespace, signal });
  await commands.confine(namespace, namespaceRules(layout, slot), signal);
}

function hostCommandsOf(slot: NetworkSlot): string[] {
  const { namespace, vethName, hostIp } = slot;
  return [
    `netns add ${namespace}`,
    `link add ${vethName} type veth peer name ${GUEST.uplinkName} netns ${namespace}`,
    `link set ${vethName} addrgenmode none`,
    `addr add ${hostIp}/31 dev ${vethName}`,
    `link set ${vethName} up`,
  ];
}

function namespaceCommandsOf(slot: NetworkSlot): string[] {
  const { tapName: tap, uplinkName: uplink, address, gateway, prefixLength } = GUEST;
  return [
    `tuntap add dev ${tap} mode tap user ${slot.uid}`,
    `link set ${tap} address ${GUEST.gatewayMac} addrgenmode none`,
    `link set ${uplink} addrgenmode none`,
    `addr add ${gateway}/${prefixLength} dev ${tap}`,
    `addr add ${slot.guestIp}/31 dev ${uplink}`,
    `link set ${tap} up`,
    `link set ${uplink} up`,
    `neigh add ${address} lladdr ${GUEST.mac} dev ${tap} nud permanent`,
    `route add default via ${slot.hostIp}`,
  ];
}

/** Whether anything of the slot is on the host. */
export function remainsOf({ namespace, vethName }: SlotNames): string[] {
  const link = existsSync(join(LINK_DIRECTORY, vethName)) ? [`link del ${vethName}`] : [];
  const name = existsSync(join(NAMESPACE_DIRECTORY, namespace)) ? [`netns del ${namespace}`] : [];
  return [...link, ...name];
}

/**
 * Takes down what is on the host of a slot, in one process launch. The link
 * goes first: with it the slot's address and all traffic are gone at once,
 * while the kernel ends the namespace in its own time.
 * @throws AggregateError when something is left.
 */
export async function removeSlot(commands: NetworkCommands, slot: SlotNames): Promise<void> {
  const errors: unknown[] = [];
  for (let pass = 0; pass < REMOVAL_PASSES_MAX; pass += 1) {
    const lines = remainsOf(slot);
    if (lines.length === 0) return;
    await commands.ip(lines, { keepGoing: true }).catch((error: unknown) => errors.push(error));
  }
  const left = remainsOf(slot);
  if (left.length > 0) {
    throw new AggregateError(errors, `network slot not removed: ${left.join(', ')}`);
  }
}

/** @throws WrennError SANDBOX_LOST naming the part of the slot that does not stand. */
export async function checkSlot(commands: NetworkCommands, slot: NetworkSlot): Promise<void> {
  const { namespace } = slot;
  try {
    if (remainsOf(slot).length < 2) throw new Error('the link or the namespace is gone');
    const query = ['-d', 'link', 'show', 'dev', GUEST.tapName];
    const [tap] = (await commands.ipQuery(query, { namespace })) as TapLink[];
    const owner = tap?.linkinfo?.info_data?.user;
    if (Number(owner) !== slot.uid) throw new Error(`the tap belongs to user ${owner}`);
    await commands.nftQuery(['list', 'table', 'inet', 'wrenn'], { namespace });
  } catch (cause) {
    throw slotLost(cause);
  }
}

interface TapLink {
  linkinfo?: { info_data?: { user?: string | number } };
}

/** Numbers of all slots of an instance of which something is on the host, ascending. */
export async function slotsOnHost(layout: InstanceLayout): Promise<number[]> {
  const indexes = new Set<number>();
  for (const directory of [NAMESPACE_DIRECTORY, LINK_DIRECTORY]) {
    for (const name of await readdir(directory).catch(() => [])) {
      const index = layout.indexOf(name);
      if (index !== undefined) indexes.add(index);
    }
  }
  return [...indexes].sort((a, b) => a - b);
}
