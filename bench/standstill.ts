/** How long a guest really stood still, seen from outside: by the processor time of its virtual CPU. */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { anchorPath } from './anchors.js';
import { BackgroundProcess } from './background-process.js';

const NS_PER_MS = 1e6;
const END_TIMEOUT_MS = 10_000;
/** Until the program watches, and to see the guest at work before and after. */
const LEAD_MS = 150;
/** Places in /proc/PID/stat behind the name, counted as proc(5) does. */
const FIRST_FIELD = 3;
const USER_TIME = 14;

/**
 * Does `work` while the one virtual CPU of a VMM always has something to do.
 * @returns the longest time in ms over which it got nothing done.
 */
export async function standstillDuring(pid: number, work: () => Promise<unknown>): Promise<number> {
  const thread = await busiestThread(pid);
  const watcher = new BackgroundProcess({
    command: [anchorPath('standstill'), String(thread)],
    deathSignal: 'KILL',
  });
  const answer = watcher.firstLine(END_TIMEOUT_MS * 2);
  // It is awaited below, unless the work fails before.
  answer.catch(() => undefined);
  try {
    await setTimeout(LEAD_MS);
    await work();
    await setTimeout(LEAD_MS);
  } finally {
    await watcher.end('SIGTERM', END_TIMEOUT_MS);
  }
  const standstillMs = Number(await answer) / NS_PER_MS;
  if (!Number.isFinite(standstillMs)) throw new Error(watcher.lastWords);
  return standstillMs;
}

/** The thread that has had the most processor time: that of the virtual CPU. */
async function busiestThread(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`);
  const times = await Promise.all(threads.map((thread) => userTime(pid, thread)));
  return Number(threads[times.indexOf(Math.max(...times))]);
}

async function userTime(pid: number, thread: string): Promise<number> {
  const stat = await readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8').catch(() => '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[USER_TIME - FIRST_FIELD] ?? 0);
}
