/** Memory of processes, as the kernel counts it. */
import { readFile } from 'node:fs/promises';

const KIB = 1024;
const MAPPING = /^[0-9a-f]+-[0-9a-f]+ \S{4} [0-9a-f]+ \S+ \d+ *(.*)$/;
const FIELD = /^(\w+): +(\d+) kB$/;

/** Where a process has mapped a file, from its beginning. */
export async function addressOfFile(pid: number, path: string): Promise<bigint> {
  const lines = (await readFile(`/proc/${pid}/maps`, 'utf8')).split('\n');
  const line = lines.find((one) => MAPPING.exec(one)?.[1] === path);
  if (line === undefined) throw new Error(`process ${pid} does not map ${path}`);
  return BigInt(`0x${line.slice(0, line.indexOf('-'))}`);
}

/** Bytes; what several processes share counts for each one in part. */
export interface MemoryUse {
  proportional: number;
  /** Without a file behind it: what the process alone has. */
  anonymous: number;
}

/** All memory of a process. */
export async function memoryOf(pid: number): Promise<MemoryUse> {
  const lines = (await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')).split('\n');
  return useIn(lines);
}

/** The part of it that maps a file. */
export async function memoryOfFile(pid: number, path: string): Promise<MemoryUse> {
  let isOfFile = false;
  const lines = (await readFile(`/proc/${pid}/smaps`, 'utf8')).split('\n').filter((line) => {
    const mapping = MAPPING.exec(line);
    if (mapping) isOfFile = mapping[1] === path;
    return isOfFile;
  });
  if (lines.length === 0) throw new Error(`process ${pid} does not map ${path}`);
  return useIn(lines);
}

function useIn(lines: readonly string[]): MemoryUse {
  const use: MemoryUse = { proportional: 0, anonymous: 0 };
  for (const line of lines) {
    const [, name, kilobytes] = FIELD.exec(line) ?? [];
    if (name === 'Pss') use.proportional += Number(kilobytes) * KIB;
    else if (name === 'Anonymous') use.anonymous += Number(kilobytes) * KIB;
  }
  return use;
}
