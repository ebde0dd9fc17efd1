/**
 * What a killed owner left behind. Each process of a server has its data
 * folder as working directory, whatever the pid file there says.
 */
import { readdir, readlink, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Code, WrennError } from '../errors/index.js';
import { retry } from '../lifecycle/delay.js';

/** Time that leftover processes get to end by themselves: they saw their parent die. */
const LEFTOVER_PATIENCE_MS = 10_000;
const LEFTOVER_KILL_TIMEOUT_MS = 10_000;
const POLL_MS = 50;

/** Ends the server that runs in `data`. To be called by the one who has claimed the folder. */
export async function endLeftovers(data: string, socketDirectory: string): Promise<void> {
  await endProcesses(data);
  // With no process left these are stale, and the pid in them may be anybody's by now.
  await rm(join(data, 'postmaster.pid'), { force: true });
  for (const name of await readdir(socketDirectory)) {
    if (name.startsWith('.s.PGSQL.')) await rm(join(socketDirectory, name), { force: true });
  }
}

async function endProcesses(data: string): Promise<void> {
  if (await goneWithin(data, LEFTOVER_PATIENCE_MS)) return;
  for (const pid of await processesIn(data)) kill(pid);
  if (await goneWithin(data, LEFTOVER_KILL_TIMEOUT_MS)) return;
  throw new WrennError(
    Code.UNAVAILABLE,
    'DATABASE_UNAVAILABLE',
    `an earlier Postgres in ${data} does not end`,
  );
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
    pids.map(
      async (pid) =>
        (await linkOf(pid, 'cwd')) === path && /\/postgres\b/.test(await linkOf(pid, 'exe')),
    ),
  );
  return pids.filter((_, index) => found[index]);
}

/** Empty for a process that has ended. */
async function linkOf(pid: number, name: 'cwd' | 'exe'): Promise<string> {
  return readlink(`/proc/${pid}/${name}`).catch(() => '');
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
