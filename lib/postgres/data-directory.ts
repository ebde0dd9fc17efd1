/**
 * The data folder of the embedded Postgres. It is made under another name and
 * renamed when it is complete, so a folder named `data` is always whole.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Code, WrennError } from '../errors/index.js';
import { syncDirectory } from '../files/atomic-write.js';
import { randomId } from '../ids/random-id.js';
import { run } from '../process/run.js';
import { POSTGRES_MAJOR, type PostgresBinaries } from './binaries.js';
import { withoutRoot } from './confine.js';

/** Superuser of the embedded Postgres; only the socket's owner can connect. */
export const POSTGRES_USER = 'wrenn';
export const POSTGRES_DATABASE = 'postgres';

const INITDB_TIMEOUT_MS = 120_000;
const UNFINISHED_SUFFIX = '.unfinished';

/** Path of the data folder below the folder of the embedded Postgres. */
export function dataDirectoryIn(directory: string): string {
  return join(directory, 'data');
}

/** Makes the data folder if there is none, and removes what an interrupted attempt left. */
export async function initializeDataDirectory(
  directory: string,
  binaries: PostgresBinaries,
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await removeUnfinished(directory);
  const data = dataDirectoryIn(directory);
  if (existsSync(data)) return checkVersion(data);
  const unfinished = join(directory, `${randomId()}${UNFINISHED_SUFFIX}`);
  await initialize(unfinished, binaries);
  await rename(unfinished, data);
  await syncDirectory(directory);
}

async function removeUnfinished(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.endsWith(UNFINISHED_SUFFIX)) continue;
    await rm(join(directory, name), { recursive: true, force: true });
  }
}

async function initialize(data: string, binaries: PostgresBinaries): Promise<void> {
  await mkdir(data, { mode: 0o700 });
  const [command, ...args] = withoutRoot([
    binaries.initdb,
    ...['--pgdata', data, '--username', POSTGRES_USER, '--auth', 'trust'],
    ...['--no-locale', '--encoding', 'UTF8', '--no-instructions'],
  ]);
  await run(command, args, { timeoutMs: INITDB_TIMEOUT_MS, env: { LC_ALL: 'C' } });
}

async function checkVersion(data: string): Promise<void> {
  const version = (await readFile(join(data, 'PG_VERSION'), 'utf8')).trim();
  if (version === POSTGRES_MAJOR) return;
  throw new WrennError(
    Code.FAILED_PRECONDITION,
    'HOST_REQUIREMENT',
    `${data} was made by Postgres ${version}, this is Postgres ${POSTGRES_MAJOR}; run it with DATABASE_URL, or move the folder away`,
  );
}
