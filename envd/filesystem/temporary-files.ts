/**
 * Temporary files beside the files that are written. Their names are told from those of users, and
 * none outlives the daemon for long: as long as one exists, a link in a folder in memory leads to
 * it, by which the next daemon removes what one that was killed has left behind.
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { readlink, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

const NAME = /^\.wrenn-\d+-\d+-\d+\.tmp$/;
const FOLDER = 'temporary-files';

let made = 0;

/** Whether a file of this name is a part of one that is being written. */
export function isTemporaryName(name: string): boolean {
  return NAME.test(name);
}

export class TemporaryFiles {
  readonly #folder: string;
  readonly #leftBehind: string[];

  /** @param runDirectory folder in memory, of the daemon alone. */
  constructor(runDirectory: string) {
    this.#folder = join(runDirectory, FOLDER);
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    // Before anything is added.
    this.#leftBehind = readdirSync(this.#folder);
  }

  /** Removes what an earlier daemon has left behind. */
  async removeLeftBehind(): Promise<void> {
    for (const name of this.#leftBehind) {
      const link = join(this.#folder, name);
      const path = await readlink(link).catch(() => '');
      if (isTemporaryName(basename(path))) await rm(path, { force: true });
      await rm(link, { force: true, recursive: true });
    }
  }

  /**
   * Lends a path in the folder of `path` to `use`, which makes a file there and may rename it. What
   * is there when it fails is removed.
   */
  async lend(path: string, use: (temporary: string) => Promise<void>): Promise<void> {
    const name = temporaryName();
    const temporary = join(dirname(path), name);
    const link = join(this.#folder, name);
    await symlink(temporary, link);
    try {
      await use(temporary);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    } finally {
      await rm(link, { force: true });
    }
  }
}

/** A name that no earlier daemon of this guest can have left behind. */
function temporaryName(): string {
  made += 1;
  return `.wrenn-${process.pid}-${Date.now()}-${made}.tmp`;
}
