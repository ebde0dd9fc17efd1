/** Removes slots of this instance that are on the host and that nobody holds. */
import { mapConcurrently } from '../../../lib/lifecycle/map-concurrently.js';
import type { Log } from '../../../lib/log/log.js';
import type { InstanceLayout } from '../layout.js';
import type { SlotBuilder } from './slot-builder.js';
import { slotsOnHost } from './slot-host.js';

/** Slots that are removed side by side; more would only queue for the kernel's lock. */
const REMOVALS_AT_ONCE_MAX = 4;
/** How long a caller waits for a sweep; the rest goes on behind it. */
export const SWEEP_WAIT_MS = 1_500;

export interface Sweep {
  /** One line for each slot removed so far. */
  removed: string[];
  /** Slots found at the start. */
  foundCount: number;
  /** Resolves when the sweep has ended; never rejects. */
  done: Promise<void>;
}

/** Starts a sweep. It ends early when `signal` aborts. */
export async function startSweep(
  builder: SlotBuilder,
  layout: InstanceLayout,
  log: Log,
  signal: AbortSignal,
): Promise<Sweep> {
  const found = (await slotsOnHost(layout)).filter((index) => !builder.isTaken(index));
  const removed: string[] = [];
  const remove = async (index: number) => {
    if (signal.aborted) return;
    try {
      const line = `network slot ${layout.slotAt(index).namespace}`;
      if (await builder.removeLeaked(index)) removed.push(line);
    } catch (error) {
      log.error('leaked network slot not removed', { index, error });
    }
  };
  const done = mapConcurrently(found, REMOVALS_AT_ONCE_MAX, remove).then(() => undefined);
  return { removed, foundCount: found.length, done };
}
