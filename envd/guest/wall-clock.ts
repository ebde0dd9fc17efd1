/** Brings the guest's wall clock to the host's. */
import { delay } from '../../lib/lifecycle/delay.js';
import { run } from '../../lib/process/run.js';

/**
 * Milliseconds by which the clock may be off. A machine reads its clock chip at
 * boot, which counts whole seconds, so a second is what every boot may have.
 */
export const CLOCK_DRIFT_MS_MAX = 1_000;
const SET_TIMEOUT_MS = 5_000;
const NS_PER_MS = 1_000_000n;

/**
 * Sets the clock if it is off by more than the bound.
 * @param hostClockNs the host's time when it asked.
 * @throws Error when it is still off afterwards, or cannot be set.
 */
export async function setWallClock(hostClockNs: bigint, busyboxPath: string): Promise<void> {
  const hostAtStartMs = Number(hostClockNs / NS_PER_MS);
  const startedAt = performance.now();
  const hostNowMs = () => hostAtStartMs + performance.now() - startedAt;
  if (Math.abs(hostNowMs() - Date.now()) <= CLOCK_DRIFT_MS_MAX) return;

  // busybox sets whole seconds, so it runs when one begins.
  const secondMs = Math.ceil(hostNowMs() / 1_000) * 1_000;
  await delay(secondMs - hostNowMs());
  await run(busyboxPath, ['date', '-u', '-s', `@${secondMs / 1_000}`], {
    timeoutMs: SET_TIMEOUT_MS,
  });
  const driftMs = Math.round(hostNowMs() - Date.now());
  if (Math.abs(driftMs) > CLOCK_DRIFT_MS_MAX) throw new Error(`still off by ${driftMs} ms`);
}
