/** Opens the generations that are kept in a folder of this host. */
import { chmod, mkdir } from 'node:fs/promises';
import type { FaultPlan } from '../../lib/faults/fault-plan.js';
import type { Log } from '../../lib/log/log.js';
import { type FileOperations, realFiles } from './file-operations.js';
import { FileStore } from './file-store.js';
import { GenerationReader } from './generation-reader.js';
import { GenerationTable } from './generation-table.js';
import { Layout } from './layout.js';
import { RefTable } from './ref-table.js';
import type { SnapshotStore } from './store.js';

/** VMMs are shown the layers of their disks, and get their memory as open files. */
const PASSABLE_MODE = 0o711;
const PRIVATE_MODE = 0o700;

export interface OpenStoreOptions {
  log: Log;
  /** What goes wrong in tests. */
  faults?: FaultPlan;
  /** How the disk is changed. */
  files?: FileOperations;
}

/**
 * Makes the folders and reads all refs and manifests. What cannot be read is logged and kept, and
 * so is all that it might need. Removes no generation: only `collect` does, when all that is to
 * be held is.
 */
export async function openSnapshotStore(
  folder: string,
  { log, faults, files = realFiles }: OpenStoreOptions,
): Promise<SnapshotStore> {
  const layout = new Layout(folder);
  await makeFolders(layout);
  const refs = new RefTable(layout, files, log);
  await refs.load();
  const table = new GenerationTable(layout, refs, log);
  await table.load();
  const reader = new GenerationReader(layout);
  return new FileStore({ layout, files, refs, table, reader, log, faults });
}

async function makeFolders(layout: Layout): Promise<void> {
  const folders: [path: string, mode: number][] = [
    [layout.folder, PASSABLE_MODE],
    [layout.refs, PRIVATE_MODE],
    [layout.generations, PRIVATE_MODE],
    [layout.memory, PRIVATE_MODE],
    [layout.disks, PASSABLE_MODE],
  ];
  for (const [path, mode] of folders) {
    await mkdir(path, { recursive: true });
    await chmod(path, mode);
  }
}
