/** Makes directories with those above them, as `mkdir -p` does. */
import { chmod, chown, mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { guestFailure } from '../../lib/guest/guest-failure.js';

const DIRECTORY_MODE = 0o755;

export interface FileOwner {
  uid: number;
  gid: number;
}

/** What is missing gets this owner and these permission bits, whatever the umask. */
export interface NewDirectories {
  owner: FileOwner;
  /** Octal 755 when left out. */
  mode?: number;
}

/**
 * Makes what is missing of a path of directories. Links that lead to a directory are as good as one.
 * @throws WrennError file_parent where something else is in the way, or what the kernel says.
 */
export async function makeDirectories(path: string, made: NewDirectories): Promise<void> {
  if (await makeDirectory(path, made)) return;
  await makeDirectories(dirname(path), made);
  // Its parent was made or found a moment ago, so somebody removes it meanwhile: once is enough.
  if (!(await makeDirectory(path, made))) throw guestFailure('file_parent');
}

/**
 * Makes a directory that the caller has named.
 * @throws WrennError file_exists when something else has this path, else as `makeDirectories`.
 */
export async function makeNamedDirectory(path: string, made: NewDirectories): Promise<void> {
  const target = resolve(path);
  if (target !== '/') await makeDirectories(dirname(target), made);
  if (!(await makeDirectory(target, made, 'file_exists'))) throw guestFailure('file_parent');
}

/** @returns whether the directory is there now; false when its parent is missing. */
async function makeDirectory(
  path: string,
  { owner, mode = DIRECTORY_MODE }: NewDirectories,
  inTheWay: 'file_parent' | 'file_exists' = 'file_parent',
): Promise<boolean> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && path !== dirname(path)) return false;
    if (code !== 'EEXIST') throw error;
    if (!(await isDirectory(path))) throw guestFailure(inTheWay);
    return true;
  }
  await chown(path, owner.uid, owner.gid);
  // Last, since a change of owner clears the set-group-id bit.
  await chmod(path, mode);
  return true;
}

/** Follows links: one that leads to a directory is as good, one that leads to nothing is not. */
async function isDirectory(path: string): Promise<boolean> {
  const status = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return status?.isDirectory() ?? false;
}
