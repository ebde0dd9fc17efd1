/**
 * The network of a machine that is restored by hand: a TAP on the host itself,
 * made before any time is taken, as the platform has its links ready. A
 * restored guest has the addresses that it was frozen with.
 */
import { retry } from '../lib/lifecycle/delay.js';
import { run } from '../lib/process/run.js';

const TAP_NAME = 'wrennbench1';
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

/** @throws Error when another benchmark has it. */
export async function openGuestLink(): Promise<GuestLink> {
  await removeTap();
  await ip([
    `tuntap add dev ${TAP_NAME} mode tap`,
    `link set ${TAP_NAME} address ${GATEWAY_MAC} addrgenmode none`,
    `addr add ${GATEWAY} dev ${TAP_NAME}`,
    `link set ${TAP_NAME} up`,
    `neigh replace ${GUEST_ADDRESS} lladdr ${GUEST_MAC} dev ${TAP_NAME} nud permanent`,
  ]);
  return { tapName: TAP_NAME, [Symbol.asyncDispose]: () => retry(removeTap, REMOVE) };
}

/** One that a killed benchmark left is nobody's: only one benchmark runs at a time. */
async function removeTap(): Promise<void> {
  await run('ip', ['-force', '-batch', '-'], { input: `link del ${TAP_NAME}\n` }).catch(
    () => undefined,
  );
}

async function ip(lines: readonly string[]): Promise<void> {
  await run('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
}
