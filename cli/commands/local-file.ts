/** Writes what comes out of a sandbox on this machine. */
import { once } from 'node:events';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { randomId } from '../../lib/ids/random-id.js';

const SUFFIX_LENGTH = 8;

/**
 * Writes a file whole or not at all: what was there stays until all has come. A
 * pipe or a device is written as it comes.
 * @returns how many bytes.
 */
export async function writeLocalFile(
  path: string,
  content: AsyncIterable<Uint8Array>,
): Promise<number> {
  // What a symbolic link points to is replaced, and not the link.
  const target = await realpath(path).catch(() => path);
  const present = await stat(target).catch(() => undefined);
  if (present && !present.isFile()) return writeInto(target, content);
  const draft = `${target}.${randomId(SUFFIX_LENGTH)}.part`;
  try {
    const sizeBytes = await writeInto(draft, content, present?.mode);
    await rename(draft, target);
    return sizeBytes;
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/** Writes as fast as the reader takes it. */
export async function writeTo(stream: Writable, content: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const bytes of content) {
    if (!stream.write(bytes)) await once(stream, 'drain');
  }
}

async function writeInto(
  path: string,
  content: AsyncIterable<Uint8Array>,
  mode?: number,
): Promise<number> {
  const file = await open(path, 'w');
  try {
    if (mode !== undefined) await file.chmod(mode);
    return await writeAll(file, content);
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, content: AsyncIterable<Uint8Array>): Promise<number> {
  let writtenBytes = 0;
  for await (const bytes of content) {
    await file.writeFile(bytes);
    writtenBytes += bytes.length;
  }
  return writtenBytes;
}
