/**
 * Writes a whole file so that a program in the guest sees the old content or
 * the new, never a part: a temporary file beside it, then a rename. It is not
 * waited for until a disk has it.
 */

import type { Stats } from 'node:fs';
import { type FileHandle, lstat, open, readlink, rename } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { guestFailure } from '../../lib/guest/guest-failure.js';
import { type FileOwner, makeDirectories } from './make-directories.js';
import type { TemporaryFiles } from './temporary-files.js';

const NEW_FILE_MODE = 0o644;
const MODE_BITS = 0o7777;
/** As many symbolic links as the kernel follows. */
const LINKS_MAX = 40;

export interface NewFile {
  path: string;
  /** Owner of what does not exist yet. */
  owner: FileOwner;
  /** Permission bits; 0 keeps those of an existing file. */
  mode: number;
}

export type Pieces = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/**
 * Writes what the pieces hold together, one at a time. When they end by an error nothing is left.
 * @returns the size in bytes.
 * @throws WrennError FILE_NOT_USABLE, what the pieces throw, or what the kernel says.
 */
export async function writeWholeFile(
  temporaryFiles: TemporaryFiles,
  { path, owner, mode }: NewFile,
  pieces: Pieces,
): Promise<number> {
  const { target, status } = await followLinks(path);
  if (status?.isDirectory() || path.endsWith('/')) throw guestFailure('file_is_directory');
  if (status && !status.isFile()) throw guestFailure('file_not_regular');
  if (!status) await makeDirectories(dirname(target), { owner });
  let sizeBytes = 0;
  await temporaryFiles.lend(target, async (temporary) => {
    sizeBytes = await writeNewFile(temporary, pieces, {
      uid: status?.uid ?? owner.uid,
      gid: status?.gid ?? owner.gid,
      mode: mode || (status ? status.mode & MODE_BITS : NEW_FILE_MODE),
    });
    await rename(temporary, target);
  });
  return sizeBytes;
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

async function writeNewFile(
  path: string,
  pieces: Pieces,
  { uid, gid, mode }: FileOwner & { mode: number },
): Promise<number> {
  const file = await open(path, 'wx', 0o600);
  try {
    const sizeBytes = await writePieces(file, pieces);
    await file.chown(uid, gid);
    // Last, since a change of owner clears the set-user-id bits.
    await file.chmod(mode);
    return sizeBytes;
  } finally {
    await file.close();
  }
}

async function writePieces(file: FileHandle, pieces: Pieces): Promise<number> {
  let sizeBytes = 0;
  for await (const piece of pieces) {
    await file.writeFile(piece);
    sizeBytes += piece.length;
  }
  return sizeBytes;
}
