/** Where on disk the agent keeps what outlives a boot. */
import { join } from 'node:path';

/** Generations, the records that name them, and disk layers. */
export function snapshotsFolder(stateDirectory: string): string {
  return join(stateDirectory, 'snapshots');
}

export function disksFolder(stateDirectory: string): string {
  return join(snapshotsFolder(stateDirectory), 'disks');
}
