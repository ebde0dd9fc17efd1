/** Where filesystems are mounted in the guest. */
import { readFile } from 'node:fs/promises';

const MOUNTS_PATH = '/proc/self/mountinfo';
const MOUNT_POINT_FIELD = 4;

/** Whether a filesystem is mounted at a path, or below it. @param path without links. */
export async function holdsMountPoint(path: string): Promise<boolean> {
  const below = path.endsWith('/') ? path : `${path}/`;
  for (const line of (await readFile(MOUNTS_PATH, 'utf8')).split('\n')) {
    const escaped = line.split(' ')[MOUNT_POINT_FIELD];
    if (escaped === undefined) continue;
    const mounted = unescapePath(escaped);
    if (mounted === path || mounted.startsWith(below)) return true;
  }
  return false;
}

/** Blanks, line feeds and backslashes are written as three octal digits. */
function unescapePath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
