/**
 * The small JSON files of the store, refs and manifests:
 *
 *     { "format": "wrenn-ref", "version": 1, "crc32c": 123, "record": { … } }
 *
 * The checksum is that of the record as JSON without white space.
 */
import { readFile, stat } from 'node:fs/promises';
import { addon } from '../../native/addon/binding.js';
import type { GenerationManifest, Ref } from './generation.js';

export const RECORD_VERSION = 1;
/** A larger file is not ours. */
export const RECORD_BYTES_MAX = 1024 * 1024;
/** They hold tokens of guests. */
export const RECORD_MODE = 0o600;
const CRC32C_MAX = 0xffff_ffff;

export type RecordFormat = 'wrenn-ref' | 'wrenn-generation';

/** @throws RangeError when it is larger than a reader takes. */
export function formatRecord(format: RecordFormat, record: Ref | GenerationManifest): string {
  const crc32c = checksumOf(record);
  const text = JSON.stringify({ format, version: RECORD_VERSION, crc32c, record });
  if (Buffer.byteLength(text) > RECORD_BYTES_MAX) throw new RangeError('the record is too large');
  return text;
}

export async function readRef(path: string): Promise<Ref> {
  return (await readRecord(path, 'wrenn-ref')) as Ref;
}

export async function readManifest(path: string, id: string): Promise<GenerationManifest> {
  const manifest = (await readRecord(path, 'wrenn-generation')) as GenerationManifest;
  if (manifest.id !== id) throw new Error('the manifest is that of another generation');
  // One that was made before memory had headers has its only file beside it.
  manifest.memory.builds ??= [id];
  const { headerCrc32c } = manifest.memory;
  if (headerCrc32c !== undefined && !isCrc32c(headerCrc32c)) {
    throw new Error('the checksum of its header is none');
  }
  return manifest;
}

async function readRecord(path: string, format: RecordFormat): Promise<unknown> {
  if ((await stat(path)).size > RECORD_BYTES_MAX) throw new Error('larger than a record may be');
  const file = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  if (file.format !== format) throw new Error(`not a record of the format ${format}`);
  if (file.version !== RECORD_VERSION) throw new Error(`version ${file.version} is not known`);
  if (file.crc32c !== checksumOf(file.record)) throw new Error('its checksum differs');
  return file.record;
}

function isCrc32c(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= CRC32C_MAX;
}

function checksumOf(record: unknown): number {
  return addon().crc32c(Buffer.from(JSON.stringify(record) ?? ''));
}
