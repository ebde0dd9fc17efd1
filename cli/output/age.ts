import type { Timestamp } from '../../gen/ts/google/protobuf/timestamp.js';
import { fromTimestamp } from '../../lib/rpc/timestamp.js';

const STEPS: readonly [string, number][] = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
];

/** How long ago a time was, in its largest whole unit: `5 min`; `never` when absent. */
export function formatAge(time: Timestamp | undefined, nowMs = Date.now()): string {
  if (!time) return 'never';
  const seconds = Math.max(0, Math.floor((nowMs - fromTimestamp(time)) / 1000));
  for (const [unit, size] of STEPS) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${seconds} s`;
}
