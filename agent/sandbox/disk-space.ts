/**
 * What becomes of guests that stand still because the host's disk is full:
 * they go on when there is room again.
 */
import { statfs } from 'node:fs/promises';
import type { SandboxRegistry } from './registry.js';
import type { Sandbox } from './sandbox.js';

/** Free bytes from which a guest is let go on: enough for what it may have waiting. */
export const DISK_RESERVE_BYTES = 16 * 1024 * 1024;

/** Lets a waiting guest go on if there is room; it repeats its write. Never rejects. */
export async function resumeFromFullDisk(
  registry: SandboxRegistry,
  sandbox: Sandbox,
): Promise<void> {
  const { host } = registry;
  try {
    const { bavail, bsize } = await statfs(host.stateDirectory);
    if (bavail * bsize < DISK_RESERVE_BYTES) return;
    await registry.locked(sandbox.id, async () => {
      if (sandbox.entry.phase !== 'running') return;
      // Before it runs: it may find the disk full again at once.
      sandbox.isDiskFull = false;
      await sandbox.machine?.run();
    });
    host.log.info('sandbox goes on: the disk has room', { sandbox_id: sandbox.id });
    registry.changes.bump();
  } catch (error) {
    sandbox.isDiskFull = true;
    host.log.warn('sandbox does not go on yet', { sandbox_id: sandbox.id, error });
  }
}
