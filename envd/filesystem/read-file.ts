/** Reads a whole file, of bounded size and without ever waiting for one. */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { guestFailure } from '../../lib/guest/guest-failure.js';

const CHUNK_BYTES = 256 * 1024;

/**
 * Reads a file. Its size is not believed: files of /proc name none, and any
 * file may grow meanwhile.
 * @throws WrennError FILE_TOO_LARGE, FILE_NOT_USABLE, or what the kernel says.
 */
export async function readWholeFile(path: string, sizeBytesMax: number): Promise<Buffer> {
  // Looked at before it is opened: opening a device may do something.
  requireRegular(await stat(path));
  const { O_RDONLY, O_NONBLOCK, O_NOCTTY } = constants;
  const file = await open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  try {
    const status = await file.stat();
    requireRegular(status);
    if (status.size > sizeBytesMax) throw guestFailure('file_too_large');
    return await readBounded(file, sizeBytesMax);
  } finally {
    await file.close();
  }
}

function requireRegular(status: Stats): void {
  if (status.isDirectory()) throw guestFailure('file_is_directory');
  if (!status.isFile()) throw guestFailure('file_not_regular');
}

async function readBounded(file: FileHandle, sizeBytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let size = 0; ; ) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES);
    if (bytesRead === 0) return Buffer.concat(chunks, size);
    size += bytesRead;
    if (size > sizeBytesMax) throw guestFailure('file_too_large');
    chunks.push(chunk.subarray(0, bytesRead));
  }
}
