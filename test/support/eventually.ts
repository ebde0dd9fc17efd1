/** Waits for something to become true without guessing how long it takes. */
import { setTimeout } from 'node:timers/promises';

/** How long `eventually` tries when the caller names no limit. */
export const EVENTUALLY_TIMEOUT_MS = 10_000;
/** Pause between two tries. */
export const EVENTUALLY_PAUSE_MS = 25;

export interface EventuallyOptions {
  timeoutMs?: number;
  pauseMs?: number;
}

/**
 * Calls `attempt` until it does not throw, and returns what it returns. When
 * the time is over it throws the error of the last try, so that the failure
 * shows what was still wrong.
 */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  options: EventuallyOptions = {},
): Promise<T> {
  const endsAt = performance.now() + (options.timeoutMs ?? EVENTUALLY_TIMEOUT_MS);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() >= endsAt) throw error;
      await setTimeout(options.pauseMs ?? EVENTUALLY_PAUSE_MS);
    }
  }
}
