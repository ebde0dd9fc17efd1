/**
 * Who runs the Postgres of a folder. A file names the process by pid and start
 * time (a pid alone may belong to somebody else by now), so that a second
 * Wrenn is told so, and what a killed one left behind is ended first.
 */
import { readFileSync } from 'node:fs';
import { link, readdir, readFile, readlink, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Code, WrennError } from '../errors/index.js';
import { randomId } from '../ids/random-id.js';
import { retry } from '../lifecycle/delay.js';

/** Time that leftover processes get to end by themselves: they saw their parent die. */
const LEFTOVER_PATIENCE_MS = 10_000;
const LEFTOVER_KILL_TIMEOUT_MS = 10_000;
const POLL_MS = 50;
const CLAIM_ATTEMPTS_MAX = 3;

/** Makes this process the owner. @throws WrennError when a living process is. */
export async function claimDirectory(directory: string): Promise<void> {
  for (let attempt = 1; attempt <= CLAIM_ATTEMPTS_MAX; attempt += 1) {
    if (await writeOwner(directory)) return;
    const owner = await readFile(ownerFile(directory), 'utf8').catch(() => '');
    if (isAlive(owner)) throw inUse(directory, owner);
    await rm(ownerFile(directory), { force: true });
  }
  throw inUse(directory, 'unknown');
}

/** Writes the owner file if there is none; whoever finds it finds it whole. */
async function writeOwner(directory: string): Promise<boolean> {
  const temporary = `${ownerFile(directory)}.${randomId()}`;
  await writeFile(temporary, identityOf(process.pid) ?? '', { mode: 0o600 });
  try {
    await link(temporary, ownerFile(directory));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Gives the folder up. */
export async function releaseDirectory(directory: string): Promise<void> {
  await rm(ownerFile(directory), { force: true });
}

/**
 * Ends the server that an earlier owner left behind. Each of its processes has
 * the data folder as working directory, whatever its pid file says.
 */
export async function endLeftovers(data: string): Promise<void> {
  if (await goneWithin(data, LEFTOVER_PATIENCE_MS)) return removePidFile(data);
  for (const pid of await processesIn(data)) kill(pid);
  if (await goneWithin(data, LEFTOVER_KILL_TIMEOUT_MS)) return removePidFile(data);
  throw new WrennError(
    Code.UNAVAILABLE,
    'DATABASE_UNAVAILABLE',
    `an earlier Postgres in ${data} does not end`,
  );
}

/** With no process left its pid file is stale, and its pid may be anybody's after a reboot. */
async function removePidFile(data: string): Promise<void> {
  await rm(join(data, 'postmaster.pid'), { force: true });
}

async function goneWithin(data: string, timeoutMs: number): Promise<boolean> {
  try {
    await retry(
      async () => {
        if ((await processesIn(data)).length > 0) throw new Error('still there');
      },
      { timeoutMs, pauseMs: POLL_MS, pauseMsMax: POLL_MS },
    );
    return true;
  } catch {
    return false;
  }
}

async function processesIn(data: string): Promise<number[]> {
  const path = await realpath(data).catch(() => data);
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => (await readlink(`/proc/${pid}/cwd`).catch(() => '')) === path),
  );
  return pids.filter((_, index) => found[index]);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

function ownerFile(directory: string): string {
  return join(directory, 'owner');
}

function isAlive(identity: string): boolean {
  const [pid] = identity.split(' ');
  return identity !== '' && identityOf(Number(pid)) === identity;
}

/** `pid start-time`, or undefined when there is no such process. */
function identityOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The program's name, in brackets, may hold spaces; start time is field 22.
    const startTimeTicks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return `${pid} ${startTimeTicks}`;
  } catch {
    return undefined;
  }
}

function inUse(directory: string, owner: string): WrennError {
  return new WrennError(
    Code.FAILED_PRECONDITION,
    'HOST_REQUIREMENT',
    `the database in ${directory} is in use by process ${owner.split(' ')[0]}; stop it, or set WRENN_STATE_DIR to another folder`,
  );
}
