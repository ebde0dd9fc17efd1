/** A small file system, mounted for one test, that can be filled to the last block. */
import { mkdir, open, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../lib/process/run.js';

const MIB = 1024 * 1024;
const FILLER_FILE = 'filler';

export class SmallFilesystem implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Mounts it on a folder, which is made. It is ext4 in a file, since one in memory has no holes:
   * a machine that maps a file of it takes room by reading. Needs root and loop devices.
   */
  static async mount(path: string, sizeMb: number): Promise<SmallFilesystem> {
    const image = `${path}.ext4`;
    await mkdir(path, { recursive: true });
    await writeFile(image, '');
    await truncate(image, sizeMb * MIB);
    await run('mkfs.ext4', ['-q', '-m', '0', image]);
    await run('mount', ['-o', 'loop', image, path]);
    return new SmallFilesystem(path);
  }

  /** Fills it with a file until `leftBytes` are free. */
  async fill(leftBytes: number): Promise<void> {
    await using file = await open(join(this.path, FILLER_FILE), 'a');
    for (;;) {
      const { bavail, bsize } = await statfs(this.path);
      const length = Math.min(MIB, bavail * bsize - leftBytes);
      if (length < bsize) return;
      await file.appendFile(Buffer.alloc(length));
    }
  }

  /** Gives back what `fill` took. */
  async empty(): Promise<void> {
    await rm(join(this.path, FILLER_FILE), { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run('umount', [this.path]);
  }
}
