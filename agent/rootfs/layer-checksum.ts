/**
 * What a layer was when it was sealed, in a small file beside it, since the
 * formats of disks have no checksum of what a guest has written:
 *
 *     <folder>/<layer id>/checksum.json
 *     { "format": "wrenn-layer", "version": 1, "sizeBytes": 196616, "crc32c": 123 }
 */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../lib/files/atomic-write.js';
import { addon } from '../../native/addon/binding.js';

const FILE_NAME = 'checksum.json';
const FILE_MODE = 0o444;
const FORMAT = 'wrenn-layer';
const VERSION = 1;
/** A larger file is not ours. */
const FILE_BYTES_MAX = 1024;
const CRC32C_MAX = 0xffff_ffff;

export interface LayerChecksum {
  sizeBytes: number;
  crc32c: number;
}

/** Reads a whole layer, in a thread. */
export async function measureLayer(path: string): Promise<LayerChecksum> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  return { sizeBytes: size, crc32c: await addon().crc32cFile(file.fd) };
}

/** Writes, or replaces, the file in the folder of a layer; durable when it resolves. */
export async function writeChecksum(folder: string, checksum: LayerChecksum): Promise<void> {
  const text = JSON.stringify({ format: FORMAT, version: VERSION, ...checksum });
  await writeFileAtomic(join(folder, FILE_NAME), text, FILE_MODE);
}

/** Idempotent. */
export async function removeChecksum(folder: string): Promise<void> {
  await rm(join(folder, FILE_NAME), { force: true });
}

/** @throws Error when there is none, or it is none of ours. */
export async function readChecksum(folder: string): Promise<LayerChecksum> {
  await using file = await open(join(folder, FILE_NAME), 'r');
  return parseChecksum(JSON.parse(await readText(file)));
}

async function readText(file: FileHandle): Promise<string> {
  const { size } = await file.stat();
  if (size > FILE_BYTES_MAX) throw new Error('the checksum of the layer is too long');
  return file.readFile('utf8');
}

function parseChecksum(parsed: unknown): LayerChecksum {
  const { format, version, sizeBytes, crc32c } = Object(parsed) as Record<string, unknown>;
  if (format !== FORMAT) throw new Error('not the checksum of a layer');
  if (version !== VERSION) throw new Error('the checksum of the layer is of another version');
  if (!isCount(sizeBytes, Number.MAX_SAFE_INTEGER) || !isCount(crc32c, CRC32C_MAX)) {
    throw new Error('the checksum of the layer has no numbers');
  }
  return { sizeBytes, crc32c };
}

function isCount(value: unknown, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;
}
