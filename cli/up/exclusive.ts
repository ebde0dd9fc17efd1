/**
 * One supervisor for each state and run folder. The claims end with the
 * process; the file beside them names it, for `wrenn down` in another terminal.
 */
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hasReason } from '../../lib/errors/index.js';
import { writeFileAtomic } from '../../lib/files/atomic-write.js';
import { claimDirectory } from '../../lib/lifecycle/claim.js';
import { retry } from '../../lib/lifecycle/delay.js';
import { Rollback } from '../../lib/lifecycle/rollback.js';
import type { PlatformConfig } from '../config.js';

const ROLE = 'up';
const PID_FILE = 'up.pid';
const POLL_MS = 100;

type Folders = Pick<PlatformConfig, 'stateDirectory' | 'runDirectory'>;

/**
 * Makes this process the supervisor of the folders.
 * @returns undefined when another process is.
 */
export async function claimPlatform(folders: Folders): Promise<Rollback | undefined> {
  await using rollback = new Rollback(() => undefined);
  try {
    for (const directory of [folders.stateDirectory, folders.runDirectory]) {
      const claim = await claimDirectory(ROLE, directory);
      rollback.defer('claim', () => claim.release());
    }
  } catch (error) {
    if (hasReason(error, 'HOST_REQUIREMENT')) return undefined;
    throw error;
  }
  const pidFile = join(folders.runDirectory, PID_FILE);
  await writeFileAtomic(pidFile, `${process.pid}\n`, 0o644);
  rollback.defer('pid file', () => rm(pidFile, { force: true }));
  return rollback.commit();
}

/** Whether a supervisor holds the folders. Changes nothing and needs no rights. */
export async function isSupervised({ runDirectory }: Folders): Promise<boolean> {
  // Nothing runs in a folder that is not there, and a claim would make it.
  if (!existsSync(runDirectory)) return false;
  try {
    await (await claimDirectory(ROLE, runDirectory)).release();
    return false;
  } catch (error) {
    if (hasReason(error, 'HOST_REQUIREMENT')) return true;
    throw error;
  }
}

/** Pid of the supervisor that holds the folders. */
export async function supervisorPid({ runDirectory }: Folders): Promise<number | undefined> {
  try {
    return Number.parseInt(await readFile(join(runDirectory, PID_FILE), 'utf8'), 10) || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Claims the folders as soon as the supervisor that holds them has ended. */
export async function claimWhenFree(folders: Folders, timeoutMs: number): Promise<Rollback> {
  return await retry(
    async () => {
      const claim = await claimPlatform(folders);
      if (!claim) throw new Error('wrenn up does not end');
      return claim;
    },
    { timeoutMs, pauseMs: POLL_MS, pauseMsMax: POLL_MS },
  );
}
