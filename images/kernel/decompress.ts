/** Decompresses what a kernel package holds; which format it is stands in the first bytes. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { randomId } from '../../lib/ids/random-id.js';
import { explain, runStep } from '../failure.js';

/** No kernel and no module is larger. */
export const DECOMPRESSED_BYTES_MAX = 512 * 1024 * 1024;
const PROGRAM_TIMEOUT_MS = 60_000;
const PACKED_SUFFIX = '.packed';

interface Format {
  name: 'gzip' | 'xz' | 'zstd' | 'lz4';
  magic: readonly number[];
}

const FORMATS: readonly Format[] = [
  { name: 'gzip', magic: [0x1f, 0x8b] },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a] },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd] },
  // The old frame format of lz4, the only one that kernels use.
  { name: 'lz4', magic: [0x02, 0x21, 0x4c, 0x18] },
];

/** Format of compressed data; undefined when it is none of those that kernels use. */
export function formatOf(data: Buffer): Format['name'] | undefined {
  return FORMATS.find(({ magic }) => magic.every((byte, index) => data[index] === byte))?.name;
}

/**
 * Decompresses data; data in none of the formats comes back as it is.
 * @param activity what it is for, such as `unpacking the kernel`.
 * @param workDirectory takes short-lived files.
 */
export async function decompress(
  activity: string,
  data: Buffer,
  workDirectory: string,
): Promise<Buffer> {
  const format = formatOf(data);
  if (!format) return data;
  if (format === 'gzip') return await gunzipOrExplain(activity, data);
  const target = join(workDirectory, `unpacked-${randomId()}`);
  const source = target + PACKED_SUFFIX;
  try {
    await writeFile(source, data);
    await runStep(activity, ...commandOf(format, source, target));
    return await readFile(target);
  } finally {
    await rm(source, { force: true });
    await rm(target, { force: true });
  }
}

function commandOf(
  format: Exclude<Format['name'], 'gzip'>,
  source: string,
  target: string,
): [string, string[], { timeoutMs: number }] {
  const options = { timeoutMs: PROGRAM_TIMEOUT_MS };
  switch (format) {
    case 'xz':
      // xz names its output itself: the source without this suffix.
      return ['xz', ['--decompress', '--keep', `--suffix=${PACKED_SUFFIX}`, source], options];
    case 'zstd':
      return ['zstd', ['--decompress', '--quiet', source, '-o', target], options];
    case 'lz4':
      return ['lz4', ['--decompress', '--quiet', source, target], options];
  }
}

async function gunzipOrExplain(activity: string, data: Buffer): Promise<Buffer> {
  try {
    return await promisify(gunzip)(data, { maxOutputLength: DECOMPRESSED_BYTES_MAX });
  } catch (error) {
    throw explain(activity, error);
  }
}
