/** The file in which a page server keeps which blocks the VMM has given back. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const WRITABLE_BY_OTHERS = 0o022;
/** One bit for each block of the largest memory, 64 GiB. */
const SIZE_MAX = 2 * 1024 * 1024;

/**
 * Reads the bits, one for each block. The folder belongs to the VMM, which may have put a pipe, a
 * link, or a file of its own in their place.
 * @throws Error when it is not the file that the page server has made.
 */
export async function readRemovedBlocks(path: string): Promise<Buffer> {
  await using file = await open(path, FLAGS);
  const status = await file.stat();
  const { uid, nlink, size, mode } = status;
  const isOurs = uid === process.geteuid?.() && nlink === 1 && (mode & WRITABLE_BY_OTHERS) === 0;
  if (!status.isFile() || !isOurs || size > SIZE_MAX)
    throw new Error('not the file of the page server');
  return await file.readFile();
}
