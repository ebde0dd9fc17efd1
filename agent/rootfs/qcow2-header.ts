/**
 * The part of a qcow2 file's header that says which other files belong to it.
 * A VMM writes its layer, so a VMM that was broken into could name any file of
 * the host there, and a program that runs as root would read it. The header is
 * therefore checked before any program is given the layer, and not by one.
 */
import { type FileHandle, open } from 'node:fs/promises';

const MAGIC = 0x514649fb;
const HEADER_BYTES = 104;
const BACKING_NAME_BYTES_MAX = 1023;
/** Bit of the incompatible features: clusters lie in another file. */
const EXTERNAL_DATA = 1 << 2;

/**
 * The name of the file below a layer, as its header has it; empty when there is none.
 * @throws Error when it is no qcow2 file of ours, or its clusters lie elsewhere.
 */
export async function readBackingPath(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const header = await readExactly(file, 0, HEADER_BYTES);
    if (header.readUInt32BE(0) !== MAGIC) throw new Error('not a qcow2 file');
    if (header.readUInt32BE(4) !== 3) throw new Error('not a qcow2 file of version 3');
    if (header.readUInt32BE(76) & EXTERNAL_DATA) throw new Error('its data lies in another file');
    const offset = Number(header.readBigUInt64BE(8));
    const length = header.readUInt32BE(16);
    if (offset === 0) return '';
    if (length > BACKING_NAME_BYTES_MAX)
      throw new Error('the name of its backing file is too long');
    return (await readExactly(file, offset, length)).toString('utf8');
  } finally {
    await file.close();
  }
}

async function readExactly(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead !== length) throw new Error('the file ends too early');
  return buffer;
}
