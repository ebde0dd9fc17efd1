/**
 * The network of a machine that is restored by hand: a TAP on the host itself,
 * made before any time is taken, as the platform has its links ready. A
 * restored guest has the addresses that it was frozen with.
 */
import { existsSync } from 'node:fs';
import { retry } from '../lib/lifecycle/delay.js';
import { run } from '../lib/process/run.js';

const TAP_PREFIX = 'wrennbench-';
/** Every guest of the platform has these. */
export const GUEST_ADDRESS = '169.254.0.21';
export const GUEST_MAC = '02:57:52:4e:00:21';
const GATEWAY = '169.254.0.22/30';
const GATEWAY_MAC = '02:57:52:4e:00:22';

/** A VMM that was killed has the TAP until the kernel has cleaned up after it. */
const REMOVE = { timeoutMs: 10_000, pauseMs: 20, pauseMsMax: 200 };

export interface GuestLink extends AsyncDisposable {
  tapName: string;
}

/**
 * @param number of links that are open side by side, each one is another; the first alone leads to
 *   its guest, since all guests have one address.
 */
export async function openGuestLink(number = 0): Promise<GuestLink> {
  const tapName = `${TAP_PREFIX}${number}`;
  await removeTap(tapName);
  await ip([
    `tuntap add dev ${tapName} mode tap`,
    `link set ${tapName} address ${GATEWAY_MAC} addrgenmode none`,
    `link set ${tapName} up`,
    ...(number === 0 ? addressCommands(tapName) : []),
  ]);
  return { tapName, [Symbol.asyncDispose]: () => removeTap(tapName) };
}

function addressCommands(tapName: string): string[] {
  return [
    `addr add ${GATEWAY} dev ${tapName}`,
    `neigh replace ${GUEST_ADDRESS} lladdr ${GUEST_MAC} dev ${tapName} nud permanent`,
  ];
}

/** Also one that a killed benchmark left, since only one runs at a time. */
async function removeTap(tapName: string): Promise<void> {
  const gone = async () => {
    if (!existsSync(`/sys/class/net/${tapName}`)) return;
    await ip([`link del ${tapName}`]);
  };
  await retry(gone, REMOVE);
}

async function ip(lines: readonly string[]): Promise<void> {
  await run('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
}
