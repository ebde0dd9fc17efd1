/** Makes a root disk out of a folder: an ext4 filesystem in a sparse file. */
import { open } from 'node:fs/promises';
import { runStep } from '../failure.js';

const MAKE_TIMEOUT_MS = 5 * 60_000;
/** Fixed, so that a disk does not differ by them: a guest has only one disk to tell apart. */
const FILESYSTEM_UUID = '77656e72-0000-4000-8000-726f6f746673';
const HASH_SEED = '77656e72-0000-4000-8000-686173687365';
/** Guests write little before they are deleted; the default journal of 64 MiB would stay unused. */
const JOURNAL_MB = 16;
const BYTES_PER_MIB = 1024 * 1024;

/**
 * @param sizeMb size of the disk that a guest sees; the file takes what its content needs.
 * @param target a file that does not exist yet.
 */
export async function makeExt4(directory: string, target: string, sizeMb: number): Promise<void> {
  const file = await open(target, 'wx', 0o644);
  try {
    await file.truncate(sizeMb * BYTES_PER_MIB);
  } finally {
    await file.close();
  }
  // A sparse file reads as zeros, so neither mke2fs nor the guest has to write any.
  const extended = [`hash_seed=${HASH_SEED}`, 'root_owner=0:0', 'assume_storage_prezeroed=1'];
  await runStep(
    'making the root disk',
    'mke2fs',
    [
      ...['-q', '-F', '-t', 'ext4', '-d', directory],
      ...['-L', 'wrenn-root', '-U', FILESYSTEM_UUID, '-E', extended.join(',')],
      ...['-J', `size=${JOURNAL_MB}`, '-m', '0', target],
    ],
    { timeoutMs: MAKE_TIMEOUT_MS },
  );
}
