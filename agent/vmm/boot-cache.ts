/**
 * Results that hold until the host boots again, kept in the state folder: what
 * is measured is the machine, which a boot may exchange.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeFileAtomic } from '../../lib/files/atomic-write.js';

const BOOT_ID_PATH = '/proc/sys/kernel/random/boot_id';

interface Kept<T> {
  bootId: string;
  subject: string;
  result: T;
}

/**
 * The result kept in `path`, or that of `measure`, which is then kept.
 * @param subject what was measured, such as a program's version; another one is measured anew.
 * @param isResult tells a result from anything else that the file may hold.
 */
export async function oncePerBoot<T>(
  path: string,
  subject: string,
  isResult: (value: unknown) => value is T,
  measure: () => Promise<T>,
): Promise<T> {
  const bootId = (await readFile(BOOT_ID_PATH, 'utf8')).trim();
  const kept = await readKept(path);
  if (kept?.bootId === bootId && kept.subject === subject && isResult(kept.result)) {
    return kept.result;
  }
  const result = await measure();
  await keep(path, { bootId, subject, result });
  return result;
}

/** Who may not write there, such as somebody who only looks, measures each time. */
async function keep(path: string, entry: Kept<unknown>): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFileAtomic(path, `${JSON.stringify(entry)}\n`, 0o644);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EROFS') throw error;
  }
}

/** Undefined for a file that is absent or not readable as one of ours: it is then written anew. */
async function readKept(path: string): Promise<Partial<Kept<unknown>> | undefined> {
  try {
    const kept: unknown = JSON.parse(await readFile(path, 'utf8'));
    return typeof kept === 'object' && kept !== null ? kept : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}
