/**
 * Everything that the store changes on disk goes through these operations, so
 * that a test can let each of them fail, and see in which order they come.
 */
import { chmod, chown, link, mkdir, open, rename, rm } from 'node:fs/promises';
import { syncDirectory } from '../../lib/files/atomic-write.js';
import {
  addon,
  type MergeRequest,
  type ScanRequest,
  type ScanResult,
} from '../../native/addon/binding.js';

/** A file as the addon fills it: sparse, at its full length. */
export interface OutputRequest {
  path: string;
  sizeBytes: number;
}

export interface FileOperations {
  makeFolder(path: string, mode: number): Promise<void>;
  /** Writes a new file. */
  writeFile(path: string, content: string | Uint8Array, mode: number): Promise<void>;
  /** Writes a new file of what has changed in a memory. */
  scanMemory(output: OutputRequest, request: Omit<ScanRequest, 'outputFd'>): Promise<ScanResult>;
  /** Writes a new file of all that others have. */
  mergeMemory(output: OutputRequest, request: Omit<MergeRequest, 'outputFd'>): Promise<void>;
  /** Makes a file that others made this process's own, and nobody's to write. */
  protect(path: string): Promise<void>;
  syncFile(path: string): Promise<void>;
  syncFolder(path: string): Promise<void>;
  link(from: string, to: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a folder with all in it; succeeds when it is gone already. */
  remove(path: string): Promise<void>;
}

const OUTPUT_MODE = 0o600;
const PROTECTED_MODE = 0o400;

export const realFiles: FileOperations = {
  async makeFolder(path, mode) {
    await mkdir(path, { mode });
  },
  async writeFile(path, content, mode) {
    const file = await open(path, 'wx', mode);
    try {
      await file.writeFile(content);
    } finally {
      await file.close();
    }
  },
  scanMemory: (output, request) =>
    fill(output, (outputFd) => addon().scanMemory({ ...request, outputFd })),
  async mergeMemory(output, request) {
    await fill(output, (outputFd) => addon().mergeMemory({ ...request, outputFd }));
  },
  async protect(path) {
    await chown(path, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
    await chmod(path, PROTECTED_MODE);
  },
  async syncFile(path) {
    const file = await open(path, 'r');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  },
  syncFolder: syncDirectory,
  link,
  rename,
  remove: (path) => rm(path, { recursive: true, force: true }),
};

/** A file that ends before the memory does could not be mapped whole. */
async function fill<T>(
  { path, sizeBytes }: OutputRequest,
  write: (outputFd: number) => Promise<T>,
): Promise<T> {
  const file = await open(path, 'wx+', OUTPUT_MODE);
  try {
    const result = await write(file.fd);
    await file.truncate(sizeBytes);
    return result;
  } finally {
    await file.close();
  }
}
