/** Names of snapshots whose owner gave them none. */
import { randomId } from '../../lib/ids/random-id.js';

/** Characters that tell snapshots of one second apart. */
const SUFFIX_LENGTH = 6;

/** A name with the time in UTC, such as `snapshot-20260131-235959-k4x2ab`. */
export function snapshotName(now = new Date()): string {
  const [date = '', time = ''] = now.toISOString().slice(0, 19).split('T');
  const stamp = `${date.replaceAll('-', '')}-${time.replaceAll(':', '')}`;
  return `snapshot-${stamp}-${randomId(SUFFIX_LENGTH)}`;
}
