/** The parts of the network that an instance has once: range, rules, forwarding. */
import { readFile } from 'node:fs/promises';
import { WrennError } from '../../../lib/errors/index.js';
import type { Log } from '../../../lib/log/log.js';
import type { NetworkCommands } from '../commands.js';
import { hostRequirement, throwRejected } from '../errors.js';
import type { InstanceLayout } from '../layout.js';
import { leaveForeignChains, openForeignChains } from '../rules/foreign-chains.js';
import { hostRules, removeHostRules } from '../rules/host-rules.js';
import { slotsOnHost } from '../slots/slot-host.js';
import { claimRange, type RangeRequest, removeBridge } from './claim-range.js';

const FORWARDING_SETTING = 'net/ipv4/ip_forward';

/**
 * Sets the instance up; what stands already stays as it is, so that guests of
 * an earlier run keep their connections. Switches the host's IPv4 forwarding
 * on and leaves it on, since others may have come to rely on it.
 */
export async function setUpInstance(
  commands: NetworkCommands,
  request: RangeRequest,
  log: Log,
): Promise<InstanceLayout> {
  const layout = await claimRange(commands, request);
  try {
    await loadRules(commands, layout);
    await enableForwarding(commands, log);
    return layout;
  } catch (error) {
    await takeDownInstance(commands, layout);
    throw error;
  }
}

/**
 * Takes down what `setUpInstance` made, unless a slot is on the host: the rules
 * confine its guest, whoever holds it. Idempotent.
 * @throws AggregateError of all failures.
 */
export async function takeDownInstance(
  commands: NetworkCommands,
  layout: InstanceLayout,
): Promise<void> {
  if ((await slotsOnHost(layout)).length > 0) return;
  const outcomes = await Promise.allSettled([
    leaveForeignChains(commands, layout).then((statements) =>
      commands.nft([...statements, removeHostRules(layout)].join('\n')),
    ),
    removeBridge(commands, layout),
  ]);
  throwRejected(outcomes, 'instance network not taken down');
}

async function loadRules(commands: NetworkCommands, layout: InstanceLayout): Promise<void> {
  try {
    const statements = await openForeignChains(commands, layout);
    await commands.nft([hostRules(layout), ...statements].join('\n'));
  } catch (cause) {
    if (cause instanceof WrennError) throw cause;
    throw hostRequirement(
      'the firewall rules could not be loaded; the kernel needs nftables with NAT and fib support',
      { cause },
    );
  }
}

async function enableForwarding(commands: NetworkCommands, log: Log): Promise<void> {
  const current = await readFile(`/proc/sys/${FORWARDING_SETTING}`, 'utf8');
  if (current.trim() === '1') return;
  await commands.setKernelSetting(FORWARDING_SETTING, '1');
  log.info('ipv4 forwarding of the host switched on');
}
