/**
 * How a restored machine gets its memory: a library that is preloaded into the
 * VMM (native/preload) stands in for the mapping of its memory file. The VMM
 * inherits the library and what it needs as open files, since neither need be
 * in its view of the host.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../../lib/files/package-root.js';
import { Rollback } from '../../../lib/lifecycle/rollback.js';
import type { RestoredMemory, RestoreSpec } from '../driver.js';
import { FIRST_INHERITED_FD, type Inheritance } from '../launch/launch.js';
import { listFds, locateMemory } from './memory-location.js';

const MIB = 1024 * 1024;
const USERFAULTFD_DEVICE = '/dev/userfaultfd';
const USERFAULTFD_LINK = 'anon_inode:[userfaultfd]';

export interface GuestMemory extends AsyncDisposable {
  /** Holds until this is disposed of; then the VMM must have been started. */
  inheritance: Inheritance;
}

/** @throws Error when the memory file, or the library, is not there. */
export async function openGuestMemory({ memory, memoryMb }: RestoreSpec): Promise<GuestMemory> {
  await using rollback = new Rollback(() => undefined);
  const files: FileHandle[] = [];
  const inherit = (file: FileHandle): string => {
    rollback.defer('inherited file', () => file.close());
    files.push(file);
    return String(FIRST_INHERITED_FD + files.length - 1);
  };

  const library = inherit(await open(libraryPath(), 'r'));
  const source = await openSource(memory);
  const environment = {
    LD_PRELOAD: `/proc/self/fd/${library}`,
    WRENN_MEMORY_MODE: memory.kind,
    WRENN_MEMORY_BYTES: String(memoryMb * MIB),
    ...(source && { WRENN_MEMORY_FD: inherit(source) }),
    ...(memory.kind === 'pages' && { WRENN_MEMORY_SOCKET: memory.socketPath }),
  };

  const opened = rollback.commit();
  return {
    inheritance: { environment, files },
    [Symbol.asyncDispose]: async () => void (await opened.undo()),
  };
}

/**
 * Checks that the library did its work. A VMM that went on without it would run its guest on zeros.
 * @throws Error when it did not.
 */
export async function checkServed(pid: number, { kind }: RestoredMemory): Promise<void> {
  const served =
    kind === 'file'
      ? await isPrivate(pid)
      : (await listFds(pid)).some(({ target }) => target === USERFAULTFD_LINK);
  if (!served) throw new Error('the memory of the machine is not the one that was given');
}

async function isPrivate(pid: number): Promise<boolean> {
  const { memory, file } = await locateMemory(pid);
  await file?.close();
  return memory.kind === 'private';
}

function libraryPath(): string {
  return join(packageRoot(), 'native', 'preload', 'build', 'wrenn-memory.so');
}

/** The file that the library reads memory from, or takes its userfaultfd from. */
async function openSource(memory: RestoredMemory): Promise<FileHandle | undefined> {
  if (memory.kind === 'file') return open(memory.path, 'r');
  try {
    return await open(USERFAULTFD_DEVICE, 'r+');
  } catch (error) {
    // Kernels before 6.1 have a system call alone.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
