/** The Python client in a virtual environment, as clients/python/README.md installs it. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { packageRoot } from '../../lib/files/package-root.js';
import { run } from '../../lib/process/run.js';

/** pip downloads and builds; a hook that calls `installPythonClient` must allow this much. */
export const PYTHON_INSTALL_TIMEOUT_MS = 10 * 60_000;

const CLIENT = join(packageRoot(), 'clients', 'python');
const CACHE = join(packageRoot(), 'node_modules', '.cache', 'wrenn-clients');
const PREFIX = 'python-';
const KEY_CHARACTERS = 16;
/** What builds leave in the client's folder. */
const BUILD_OUTPUT = /^build$|^__pycache__$|\.egg-info$/;

export interface PythonClient {
  /** Its `bin` folder, for PATH. */
  readonly programs: string;
  /** Its Python. */
  readonly python: string;
}

/** Path of one of the client's examples. */
export function pythonExample(name: 'hello' | 'freeze' | 'stream'): string {
  return join(CLIENT, 'examples', `${name}.py`);
}

/**
 * Makes an environment that has the client, or finds the one of an earlier run
 * with the same sources. The caller has checked the need `python-venv`.
 */
export async function installPythonClient(): Promise<PythonClient> {
  const environment = join(CACHE, `${PREFIX}${await cacheKey()}`);
  if (!existsSync(environment)) await build(environment);
  const programs = join(environment, 'bin');
  return { programs, python: join(programs, 'python') };
}

/** Of everything that decides what is installed: the client's files and the Python. */
async function cacheKey(): Promise<string> {
  const version = 'import sys; print(sys.executable, sys.version)';
  const { stdout } = await run('python3', ['-c', version]);
  const hash = createHash('sha256').update(stdout);
  const entries = await readdir(CLIENT, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.split('/').some((part) => BUILD_OUTPUT.test(part)));
  for (const path of paths.sort()) hash.update(path).update(await readFile(path));
  return hash.digest('hex').slice(0, KEY_CHARACTERS);
}

/** Builds beside the cache's place and moves, so that nobody uses half an environment. */
async function build(environment: string): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const directory = await mkdtemp(join(CACHE, 'build-'));
  try {
    // pip builds inside the folder that it is given.
    const source = join(directory, 'source');
    const filter = (path: string) => !BUILD_OUTPUT.test(basename(path));
    await cp(CLIENT, source, { recursive: true, filter });
    const fresh = join(directory, 'environment');
    const limit = { timeoutMs: PYTHON_INSTALL_TIMEOUT_MS };
    await run('python3', ['-m', 'venv', fresh], limit);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', source];
    await run(join(fresh, 'bin', 'python'), pip, limit);
    await removeOld();
    await rename(fresh, environment);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Environments of earlier sources, each of which is large. */
async function removeOld(): Promise<void> {
  const old = (await readdir(CACHE)).filter((name) => name.startsWith(PREFIX));
  for (const name of old) await rm(join(CACHE, name), { recursive: true, force: true });
}
