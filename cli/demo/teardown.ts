/** How a demo ends: its sandboxes first, while somebody is there to end them, then the platform. */
import { retry } from '../../lib/lifecycle/delay.js';
import type { Platform } from '../up/parts.js';
import type { DemoPlace } from './place.js';

/** An agent that was killed is back within this. */
const DESTROY_TRIES = { timeoutMs: 30_000, pauseMs: 500, pauseMsMax: 2000 };

/**
 * Runs `use` with a platform, then `destroy` and the stop of the platform,
 * whatever fails; the place knows whether all of it went well.
 * @throws the first failure.
 */
export async function withPlatform(
  place: DemoPlace,
  platform: Platform,
  use: () => Promise<void>,
  destroy: () => Promise<unknown>,
): Promise<void> {
  place.isInUse = true;
  try {
    await Promise.race([use(), platform.failed]);
  } finally {
    try {
      await retry(destroy, DESTROY_TRIES);
      place.isInUse = false;
    } finally {
      await platform.stop();
    }
  }
}
