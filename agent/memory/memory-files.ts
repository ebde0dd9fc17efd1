/** The open files of a memory. */
import { type FileHandle, open } from 'node:fs/promises';
import type { MappedMemory } from '../../native/addon/binding.js';
import type { MemoryFiles } from './provider.js';
import { MemoryUnavailable } from './unavailable.js';

/**
 * Opens the files, and closes them when `use` is done.
 * @throws MemoryUnavailable when one is missing.
 */
export async function withOpenFiles<T>(
  memory: MemoryFiles,
  use: (mapped: MappedMemory, handles: readonly FileHandle[]) => T | Promise<T>,
): Promise<T> {
  const handles: FileHandle[] = [];
  try {
    for (const path of memory.paths) handles.push(await openFile(path));
    const files = handles.map((handle) => handle.fd);
    return await use({ files, runs: memory.runs, checksums: memory.checksums }, handles);
  } finally {
    await Promise.all(handles.map((handle) => handle.close()));
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    const message = `the memory file ${path} is missing`;
    throw new MemoryUnavailable({ kind: 'damaged', message, artifact: path }, { cause });
  }
}
