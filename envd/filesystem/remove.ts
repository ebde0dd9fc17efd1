/** Removes a file, a link, or a directory with all that is in it; links are never followed. */
import { constants, type Dir, type Dirent } from 'node:fs';
import { lstat, open, opendir, realpath, rmdir, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { guestFailure } from '../../lib/guest/guest-failure.js';
import { holdsMountPoint } from './mount-points.js';

/** Entries of a directory that are held and removed at once. */
const BATCH_SIZE = 256;
/** How often a directory that was empty may turn out to have got something new. */
const REFILLS_MAX = 10;
/** Longer paths are shortened: what is below would be beyond what the kernel takes. */
const PATH_BYTES_MAX = 3500;

/**
 * Removes what is at a path. What cannot be removed ends it, and what was removed before is gone.
 * @throws WrennError file_mount_point, the signal's reason, or what the kernel says.
 */
export async function remove(path: string, signal: AbortSignal): Promise<void> {
  const target = resolve(path);
  const status = await lstat(target);
  if (!status.isDirectory()) {
    // What can only be a directory is not there.
    if (path.endsWith('/')) throw guestFailure('file_not_directory');
    await unlink(target);
    return;
  }
  const place = join(await realpath(dirname(target)), basename(target));
  if (await holdsMountPoint(place)) throw guestFailure('file_mount_point');
  await removeDirectory(Buffer.from(target), signal);
}

async function removeDirectory(path: Buffer, signal: AbortSignal): Promise<void> {
  for (let refills = 0; ; refills += 1) {
    await removeContents(path, signal);
    try {
      await passOverMissing(rmdir(path));
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
      if (refills >= REFILLS_MAX) throw guestFailure('file_not_usable');
    }
  }
}

async function removeContents(path: Buffer, signal: AbortSignal): Promise<void> {
  if (path.length <= PATH_BYTES_MAX) {
    await removeEntries(path, signal);
    return;
  }
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  const directory = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    await removeEntries(Buffer.from(`/proc/self/fd/${directory.fd}`), signal);
  } finally {
    await directory.close();
  }
}

/** The directory is opened anew for each batch, so that its depth costs no descriptors. */
async function removeEntries(path: Buffer, signal: AbortSignal): Promise<void> {
  for (;;) {
    const batch = await readBatch(path);
    if (batch.length === 0) return;
    signal.throwIfAborted();
    const directories = batch.filter((entry) => entry.isDirectory());
    const others = batch.filter((entry) => !entry.isDirectory());
    await Promise.all(others.map((entry) => passOverMissing(unlink(pathOf(path, entry)))));
    for (const entry of directories) await removeDirectory(pathOf(path, entry), signal);
  }
}

async function readBatch(path: Buffer): Promise<Dirent[]> {
  // The types of Node know text only, Node itself also bytes.
  const options = { encoding: 'buffer' as BufferEncoding, bufferSize: BATCH_SIZE };
  const directory: Dir | undefined = await passOverMissing(opendir(path, options));
  const batch: Dirent[] = [];
  if (!directory) return batch;
  try {
    while (batch.length < BATCH_SIZE) {
      const entry = await directory.read();
      if (!entry) break;
      batch.push(entry);
    }
  } finally {
    await directory.close();
  }
  return batch;
}

function pathOf(path: Buffer, entry: Dirent): Buffer {
  return Buffer.concat([path, Buffer.from('/'), entry.name as unknown as Buffer]);
}

/** Somebody else may remove the same. */
async function passOverMissing<T>(done: Promise<T>): Promise<T | undefined> {
  try {
    return await done;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
