/** Runs the host's own apt. */
import { existsSync } from 'node:fs';
import { requirement, runStep } from '../failure.js';
import { parseStanzas } from './stanzas.js';

/** How long apt waits for another apt or dpkg that holds the lock, in seconds. */
export const APT_LOCK_TIMEOUT_SEC = 300;
/** Time limit of an apt call; the wait for the lock and a slow mirror fit in it. */
export const APT_TIMEOUT_MS = 20 * 60_000;

/** Runs apt-get without questions, in plain English, with the lock timeout. */
export function aptGet(
  activity: string,
  args: readonly string[],
  options: { cwd?: string; onOutput?: (chunk: Buffer) => void } = {},
) {
  const environment = ['LC_ALL=C', 'DEBIAN_FRONTEND=noninteractive'];
  const lock = ['-o', `DPkg::Lock::Timeout=${APT_LOCK_TIMEOUT_SEC}`];
  return runStep(activity, 'env', [...environment, 'apt-get', ...lock, ...args], {
    timeoutMs: APT_TIMEOUT_MS,
    ...options,
  });
}

/** Fetches the package lists. */
export async function updateLists(): Promise<void> {
  await aptGet('fetching the package lists', ['update']);
}

/** Fetches the package lists if the machine has none, as in a fresh container. */
export async function ensureLists(): Promise<void> {
  if (await hasLists()) return;
  await updateLists();
  if (await hasLists()) return;
  throw requirement('apt has no package lists: check the sources in /etc/apt and the network');
}

/** The package lists that the host's sources name, as apt describes them. */
export async function listTargets(): Promise<Map<string, string>[]> {
  const { stdout } = await runStep('reading the sources of apt', 'apt-get', [
    'indextargets',
    'Created-By: Packages',
  ]);
  return parseStanzas(stdout);
}

async function hasLists(): Promise<boolean> {
  const files = (await listTargets()).flatMap((target) => target.get('Filename') ?? []);
  return files.some((file) => existsSync(file));
}
