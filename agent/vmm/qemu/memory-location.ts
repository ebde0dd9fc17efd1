/**
 * Where the memory of a machine is, told from its process alone, so that a
 * later agent finds it too. QEMU always has a memory file; a machine that was
 * restored from a file has a private map of that one in place of it.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, readlink } from 'node:fs/promises';
import type { MachineMemory } from '../driver.js';

/** How the kernel names the file of QEMU's memory backend. */
const MEMORY_FILE = '/memfd:memory-backend-memfd (deleted)';
/** Largest /proc/PID/maps that is read; a VMM's has some 50 KB. */
const MAPS_BYTES_MAX = 4 * 1024 * 1024;
const MAPS_READ_BYTES = 64 * 1024;
/** A line of /proc/PID/maps: range, permissions, offset, device, inode, path. */
const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) (\S+) (\d+) *(.*)$/;

export interface OpenFile {
  fd: number;
  /** What the kernel calls it. */
  target: string;
}

export interface LocatedMemory {
  memory: MachineMemory;
  /** What `memory` names, open until the caller closes it; undefined for a private map. */
  file: FileHandle | undefined;
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
export async function locateMemory(pid: number): Promise<LocatedMemory> {
  const file = await openMemoryFile(pid);
  try {
    const { size } = await file.stat({ bigint: true });
    const mappings = joined(parseMappings(await readMaps(pid)));
    const ofWholeSize = mappings.filter(({ start, end }) => end - start === size);
    if (ofWholeSize.some(({ path }) => path === MEMORY_FILE)) {
      return { memory: { kind: 'memfd', path: `/proc/self/fd/${file.fd}` }, file };
    }
    const [own, ...others] = ofWholeSize.filter(isPrivateFile);
    if (!own || others.length > 0)
      throw new Error(`process ${pid} has no single map of its memory`);
    await file.close();
    return { memory: { kind: 'private', pid, address: own.start }, file: undefined };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * A VMM that was broken into may put another file in the place of its descriptor at any time: a
 * pipe, which would be waited for, or one that it could name but not read, which root would. So
 * what was opened is looked at, and not opened again by that name.
 */
async function openMemoryFile(pid: number): Promise<FileHandle> {
  const memfd = (await listFds(pid)).find(({ target }) => target === MEMORY_FILE);
  if (!memfd) throw new Error(`process ${pid} has no memory file`);
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  const file = await open(`/proc/${pid}/fd/${memfd.fd}`, flags);
  if ((await readlink(`/proc/self/fd/${file.fd}`)) === MEMORY_FILE) return file;
  await file.close();
  throw new Error(`process ${pid} has put another file in the place of its memory`);
}

/** @throws Error when there are more than a VMM has: each line may be long. */
async function readMaps(pid: number): Promise<string> {
  await using file = await open(`/proc/${pid}/maps`, 'r');
  const chunks: Buffer[] = [];
  for (let size = 0; ; ) {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAPS_READ_BYTES), 0);
    if (bytesRead === 0) return Buffer.concat(chunks).toString('utf8');
    size += bytesRead;
    if (size > MAPS_BYTES_MAX) throw new Error(`process ${pid} has too many maps`);
    chunks.push(buffer.subarray(0, bytesRead));
  }
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
