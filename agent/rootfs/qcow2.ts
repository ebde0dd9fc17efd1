/**
 * Root disks as qcow2 overlays: a file that holds only what a sandbox has
 * written, over the raw image of its template. Each disk has a folder of its
 * own, which a VMM can be shown without the rest of the sandbox's state.
 */
import { chmod, chown, mkdir, rm, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { hostDiskFull, isDiskFull } from '../../lib/errors/disk-full.js';
import { Rollback } from '../../lib/lifecycle/rollback.js';
import type { Log } from '../../lib/log/log.js';
import { run } from '../../lib/process/run.js';
import type { Rootfs, RootfsProvider, RootfsRequest } from './provider.js';

const FOLDER_NAME = 'rootfs';
const FILE_NAME = 'overlay.qcow2';

/** The VMM's user may enter, and neither list nor add. */
const FOLDER_MODE = 0o711;
const FILE_MODE = 0o600;
/** What stat counts in, whatever the file system's own block size. */
const STAT_BLOCK_BYTES = 512;

export interface Qcow2ProviderOptions {
  log: Log;
  /** Program that makes the overlays. */
  qemuImgPath?: string;
}

export function createQcow2Provider({ log, qemuImgPath }: Qcow2ProviderOptions): RootfsProvider {
  return {
    create: (request) => createOverlay(request, qemuImgPath ?? 'qemu-img', log),
    destroy: removeOverlay,
    sizeBytes: allocatedBytes,
  };
}

async function createOverlay(
  { sandboxId, imagePath, directory, uid }: RootfsRequest,
  qemuImgPath: string,
  log: Log,
): Promise<Rootfs> {
  if (!isAbsolute(imagePath)) throw new Error('the path of a backing image must be absolute');
  const folder = join(directory, FOLDER_NAME);
  const path = join(folder, FILE_NAME);
  await using rollback = new Rollback((step, error) => {
    log.error('undo failed', { sandbox_id: sandboxId, step, error });
  });
  try {
    // Fails where a disk is already: it may belong to a machine that runs.
    await mkdir(folder);
    rollback.defer('disk folder', () => rm(folder, { recursive: true, force: true }));

    await chmod(folder, FOLDER_MODE);
    await run(qemuImgPath, ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', imagePath, path]);
    await chmod(path, FILE_MODE);
    await chown(path, uid, uid);
  } catch (error) {
    throw isDiskFull(error) ? hostDiskFull(error) : error;
  }
  rollback.commit();
  return { path, format: 'qcow2' };
}

async function removeOverlay({ path }: Rootfs): Promise<void> {
  await rm(dirname(path), { recursive: true, force: true });
}

/** A disk that is gone takes nothing. */
async function allocatedBytes({ path }: Rootfs): Promise<number> {
  try {
    return (await stat(path)).blocks * STAT_BLOCK_BYTES;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
