/**
 * Where the memory of a machine is, told from its process alone, so that a
 * later agent finds it too. QEMU always has a memory file; a machine that was
 * restored from a file has a private map of that one in place of it.
 */
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import type { MachineMemory } from '../driver.js';

/** How the kernel names the file of QEMU's memory backend. */
const MEMORY_FILE = '/memfd:memory-backend-memfd (deleted)';
/** A line of /proc/PID/maps: range, permissions, offset, device, inode, path. */
const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) (\S+) (\d+) *(.*)$/;

export interface OpenFile {
  fd: number;
  /** What the kernel calls it. */
  target: string;
}

interface Mapping {
  start: bigint;
  end: bigint;
  permissions: string;
  offset: bigint;
  /** Device and inode. */
  file: string;
  path: string;
}

/** @throws Error when the process is gone, or is no machine. */
export async function locateMemory(pid: number): Promise<MachineMemory> {
  const memfd = (await listFds(pid)).find(({ target }) => target === MEMORY_FILE);
  if (!memfd) throw new Error(`process ${pid} has no memory file`);
  const path = `/proc/${pid}/fd/${memfd.fd}`;
  const { size } = await stat(path, { bigint: true });

  const mappings = joined(parseMappings(await readFile(`/proc/${pid}/maps`, 'utf8')));
  const ofWholeSize = mappings.filter(({ start, end }) => end - start === size);
  if (ofWholeSize.some((mapping) => mapping.path === MEMORY_FILE)) return { kind: 'memfd', path };
  const [own, ...others] = ofWholeSize.filter(isPrivateFile);
  if (!own || others.length > 0) throw new Error(`process ${pid} has no single map of its memory`);
  return { kind: 'private', pid, address: own.start };
}

/** The files that a process has open. */
export async function listFds(pid: number): Promise<OpenFile[]> {
  const folder = `/proc/${pid}/fd`;
  const files = [];
  for (const name of await readdir(folder)) {
    const target = await readlink(`${folder}/${name}`).catch(ignoreClosed);
    if (target !== undefined) files.push({ fd: Number(name), target });
  }
  return files;
}

export function parseMappings(text: string): Mapping[] {
  return text.split('\n').flatMap((line) => {
    const fields = MAPPING.exec(line);
    if (!fields) return [];
    const [, start, end, permissions = '', offset, device, inode, path = ''] = fields;
    return {
      start: BigInt(`0x${start}`),
      end: BigInt(`0x${end}`),
      permissions,
      offset: BigInt(`0x${offset}`),
      file: `${device} ${inode}`,
      path,
    };
  });
}

/** The kernel may keep one map as several that follow each other. */
function joined(mappings: readonly Mapping[]): Mapping[] {
  const result: Mapping[] = [];
  for (const mapping of mappings) {
    const last = result.at(-1);
    if (last && continues(last, mapping)) last.end = mapping.end;
    else result.push({ ...mapping });
  }
  return result;
}

function continues(last: Mapping, next: Mapping): boolean {
  return (
    next.start === last.end &&
    next.permissions === last.permissions &&
    next.file === last.file &&
    next.path === last.path &&
    next.offset === last.offset + (last.end - last.start)
  );
}

function isPrivateFile({ permissions, path, offset }: Mapping): boolean {
  return permissions === 'rw-p' && path.startsWith('/') && offset === 0n;
}

function ignoreClosed(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
