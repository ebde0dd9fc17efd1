/** Reads regular files, without ever waiting for one. */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { guestFailure } from '../../lib/guest/guest-failure.js';

const CHUNK_BYTES = 256 * 1024;
/** Largest piece of a file that is streamed. */
const PIECE_BYTES = 64 * 1024;

/**
 * Reads a file. Its size is not believed: files of /proc name none, and any
 * file may grow meanwhile.
 * @throws WrennError FILE_TOO_LARGE, FILE_NOT_USABLE, or what the kernel says.
 */
export async function readWholeFile(path: string, sizeBytesMax: number): Promise<Buffer> {
  const { file, status } = await openRegular(path);
  try {
    if (status.size > sizeBytesMax) throw guestFailure('file_too_large');
    return await readBounded(file, sizeBytesMax);
  } finally {
    await file.close();
  }
}

/**
 * Reads a file in pieces of at most 64 KiB, up to where it ends when that is
 * reached: one that shrinks ends earlier, one that grows later.
 * @throws WrennError FILE_NOT_USABLE, or what the kernel says.
 */
export async function* readPieces(path: string): AsyncGenerator<Buffer, void, void> {
  const { file } = await openRegular(path);
  try {
    for (;;) {
      // A buffer of its own for each: the last one may still be on its way.
      const piece = Buffer.allocUnsafe(PIECE_BYTES);
      const { bytesRead } = await file.read(piece, 0, PIECE_BYTES);
      if (bytesRead === 0) return;
      yield piece.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

async function openRegular(path: string): Promise<{ file: FileHandle; status: Stats }> {
  // Looked at before it is opened: opening a device may do something.
  requireRegular(await stat(path));
  const { O_RDONLY, O_NONBLOCK, O_NOCTTY } = constants;
  const file = await open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  try {
    const status = await file.stat();
    requireRegular(status);
    return { file, status };
  } catch (error) {
    await file.close();
    throw error;
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
