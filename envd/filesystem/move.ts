/** Gives a file or a directory another path. */
import { lstat, realpath, rename } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type GuestFailure, guestFailure } from '../../lib/guest/guest-failure.js';
import { type FileOwner, makeDirectories } from './make-directories.js';

/** What the kernel means where it is asked to rename. */
const FAILURES: Record<string, GuestFailure> = {
  EXDEV: 'file_other_filesystem',
  EBUSY: 'file_mount_point',
  // Something is at the destination, and it is not what the source could replace.
  EEXIST: 'file_exists',
  ENOTEMPTY: 'file_exists',
  EISDIR: 'file_exists',
  // A directory would go into itself.
  EINVAL: 'file_not_usable',
};

/**
 * Renames. A file at the destination is replaced, as is an empty directory by a directory.
 * @param owner owner of the folders of the destination that are made.
 * @throws WrennError FILE_EXISTS, FILE_NOT_USABLE, or what the kernel says.
 */
export async function move(source: string, destination: string, owner: FileOwner): Promise<void> {
  const [from, to] = [resolve(source), resolve(destination)];
  // Before any folder is made for it.
  const status = await lstat(from);
  try {
    if (await renamed(from, to)) return;
    if (status.isDirectory()) await requireOutside(from, to);
    await makeDirectories(dirname(to), { owner });
    await rename(from, to);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOTDIR' && status.isDirectory() && (await exists(to))) {
      throw guestFailure('file_exists');
    }
    const failure = FAILURES[code];
    throw failure ? guestFailure(failure) : error;
  }
}

/** @returns false when a folder of the destination is missing. */
async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** @throws WrennError file_not_usable for a path in the directory itself, also one by way of links. */
async function requireOutside(from: string, to: string): Promise<void> {
  const source = await realpath(from);
  const destination = await existingPart(dirname(to));
  if (`${destination}/`.startsWith(`${source}/`)) throw guestFailure('file_not_usable');
}

/** What there is of a path, without links. */
async function existingPart(path: string): Promise<string> {
  for (let part = path; part !== '/'; part = dirname(part)) {
    const real = await realpath(part).catch(() => undefined);
    if (real !== undefined) return real;
  }
  return '/';
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
