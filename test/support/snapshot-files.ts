/** File operations of a store of generations that are noted, and of which one, or all from one on, fail. */
import { writeFile } from 'node:fs/promises';
import { type FileOperations, realFiles } from '../../agent/snapshot/file-operations.js';

export interface SnapshotFilesPlan {
  /** Number of the operation that fails, counted from 0. */
  failAt?: number;
  /** Code of the failure. */
  code?: 'ENOSPC' | 'EIO';
  /** Whether all later ones fail as well, as if the process had ended. */
  forever?: boolean;
}

export interface SnapshotFiles extends FileOperations {
  /** What was done, such as `syncFile /a/b`. */
  readonly done: string[];
  /** Whether an operation has failed. */
  readonly hasFailed: () => boolean;
}

export function snapshotFiles(plan: SnapshotFilesPlan = {}): SnapshotFiles {
  const { failAt = Number.POSITIVE_INFINITY, code = 'EIO', forever = false } = plan;
  const done: string[] = [];
  let next = 0;
  let hasFailed = false;

  const step = async <T>(
    name: keyof FileOperations,
    path: string,
    work: () => Promise<T>,
  ): Promise<T> => {
    const number = next++;
    if (number === failAt || (forever && number > failAt)) {
      if (number === failAt && name === 'writeFile') await writeFile(path, 'half of what');
      hasFailed = true;
      throw Object.assign(new Error(`injected ${code} at ${name} ${path}`), { code });
    }
    done.push(`${name} ${path}`);
    return work();
  };

  return {
    done,
    hasFailed: () => hasFailed,
    makeFolder: (path, mode) => step('makeFolder', path, () => realFiles.makeFolder(path, mode)),
    writeFile: (path, content, mode) =>
      step('writeFile', path, () => realFiles.writeFile(path, content, mode)),
    scanMemory: (output, request) =>
      step('scanMemory', output.path, () => realFiles.scanMemory(output, request)),
    mergeMemory: (output, request) =>
      step('mergeMemory', output.path, () => realFiles.mergeMemory(output, request)),
    protect: (path) => step('protect', path, () => realFiles.protect(path)),
    syncFile: (path) => step('syncFile', path, () => realFiles.syncFile(path)),
    syncFolder: (path) => step('syncFolder', path, () => realFiles.syncFolder(path)),
    link: (from, to) => step('link', to, () => realFiles.link(from, to)),
    rename: (from, to) => step('rename', to, () => realFiles.rename(from, to)),
    remove: (path) => step('remove', path, () => realFiles.remove(path)),
  };
}
