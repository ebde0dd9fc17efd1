/** How much memory a process has mapped now. */
import { readFile } from 'node:fs/promises';

/** Bytes of a process's memory that are present, shared ones too. */
export async function residentBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kib = /^Rss:\s+(\d+) kB$/m.exec(text)?.[1];
  if (kib === undefined) throw new Error(`nothing is known of the memory of ${pid}`);
  return Number(kib) * 1024;
}
