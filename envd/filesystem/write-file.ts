/**
 * Writes a whole file so that a program in the guest sees the old content or
 * the new, never a part: a temporary file beside it, then a rename.
 */

import type { Stats } from 'node:fs';
import { chown, lstat, mkdir, open, readlink, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { guestFailure } from '../../lib/guest/guest-failure.js';

const NEW_FILE_MODE = 0o644;
const NEW_DIRECTORY_MODE = 0o755;
const MODE_BITS = 0o7777;
/** As many symbolic links as the kernel follows. */
const LINKS_MAX = 40;

export interface FileOwner {
  uid: number;
  gid: number;
}

export interface NewContent {
  path: string;
  content: Uint8Array;
  /** Owner of what does not exist yet. */
  owner: FileOwner;
  /** Permission bits; 0 keeps those of an existing file. */
  mode: number;
}

/** @throws WrennError FILE_NOT_USABLE, or what the kernel says. */
export async function writeWholeFile({ path, content, owner, mode }: NewContent): Promise<void> {
  const { target, status } = await followLinks(path);
  if (status?.isDirectory() || path.endsWith('/')) throw guestFailure('file_is_directory');
  if (status && !status.isFile()) throw guestFailure('file_not_regular');
  if (!status) await makeDirectories(dirname(target), owner);
  await replace(target, content, {
    uid: status?.uid ?? owner.uid,
    gid: status?.gid ?? owner.gid,
    mode: mode || (status ? status.mode & MODE_BITS : NEW_FILE_MODE),
  });
}

/** Finds the file that a write to `path` reaches, also at the end of a link that leads to nothing yet. */
async function followLinks(path: string): Promise<{ target: string; status: Stats | undefined }> {
  let target = resolve(path);
  for (let links = 0; links <= LINKS_MAX; links += 1) {
    const status = await statusOf(target);
    if (!status?.isSymbolicLink()) return { target, status };
    target = resolve(dirname(target), await readlink(target));
  }
  throw guestFailure('file_path');
}

async function statusOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Makes what is missing of a path of directories. */
async function makeDirectories(path: string, owner: FileOwner): Promise<void> {
  if (await makeDirectory(path, owner)) return;
  await makeDirectories(dirname(path), owner);
  // Its parent was made or found a moment ago, so somebody removes it meanwhile: once is enough.
  if (!(await makeDirectory(path, owner))) throw guestFailure('file_parent');
}

/** @returns whether the directory is there now; false when its parent is missing. */
async function makeDirectory(path: string, owner: FileOwner): Promise<boolean> {
  try {
    await mkdir(path, { mode: NEW_DIRECTORY_MODE });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && path !== dirname(path)) return false;
    if (code !== 'EEXIST') throw error;
    await requireDirectory(path);
    return true;
  }
  await chown(path, owner.uid, owner.gid);
  return true;
}

/** Follows links: one that leads to a directory is as good, one that leads to nothing is not. */
async function requireDirectory(path: string): Promise<void> {
  const status = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!status?.isDirectory()) throw guestFailure('file_parent');
}

async function replace(
  path: string,
  content: Uint8Array,
  attributes: FileOwner & { mode: number },
): Promise<void> {
  const temporary = join(dirname(path), temporaryName());
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.chown(attributes.uid, attributes.gid);
      // Last, since a change of owner clears the set-user-id bits.
      await file.chmod(attributes.mode);
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

let written = 0;

/** A name that no earlier daemon of this guest can have left behind. */
function temporaryName(): string {
  written += 1;
  return `.wrenn-${process.pid}-${Date.now()}-${written}.tmp`;
}
