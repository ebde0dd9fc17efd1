/** Writes the small files by which the daemon tells programs, and its own next start, what it knows. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';

/**
 * Replaces a file so that a reader sees the old content or the new, never a part. It is not waited
 * for until a disk has it: most of these files are in memory, and of one that is not, ext4 keeps
 * the old content or the new through a crash as well.
 */
export function replaceFile(path: string, content: string, mode: number): void {
  const temporary = `${path}.wrenn-new`;
  // What a daemon that was killed may have left.
  rmSync(temporary, { force: true });
  try {
    writeFileSync(temporary, content, { mode, flag: 'wx' });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
