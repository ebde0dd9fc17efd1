/**
 * The host's processes, as /proc shows them. A pid alone names nobody, since
 * the kernel gives it out again; a pid with its start time does.
 */
import { readdir, readFile } from 'node:fs/promises';
import { delay } from '../../../lib/lifecycle/delay.js';

export interface ProcessIdentity {
  pid: number;
  /** Field 22 of /proc/PID/stat, in clock ticks since the host's boot. */
  startTimeTicks: string;
}

/** How long a killed process may take to be gone; the kernel may have to give up a disk request. */
export const END_TIMEOUT_MS = 15_000;
const END_POLL_MS = 20;

const STATE_FIELD = 3;
const START_TIME_FIELD = 22;
/** States of a process that has ended: zombie, and dead. */
const ENDED_STATES = new Set(['Z', 'X', 'x']);

/** Identity of the process that has this pid now; undefined when there is none, or it has ended. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  const stat = await readProcessFile(pid, 'stat');
  if (stat === undefined) return undefined;
  const { state, startTimeTicks } = parseStat(stat);
  return ENDED_STATES.has(state) ? undefined : { pid, startTimeTicks };
}

/** Whether exactly this process still runs, or is stopped; a zombie has ended. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  const now = await identifyProcess(identity.pid);
  return now !== undefined && now.startTimeTicks === identity.startTimeTicks;
}

/**
 * Kills exactly this process and waits until it is gone. One that has ended is no error.
 * @throws Error when it is not gone in time.
 */
export async function endProcess(identity: ProcessIdentity): Promise<void> {
  const endsAt = performance.now() + END_TIMEOUT_MS;
  while (await isRunning(identity)) {
    sendKill(identity.pid);
    if (performance.now() > endsAt) throw new Error(`process ${identity.pid} does not end`);
    await delay(END_POLL_MS);
  }
}

/** Sends SIGKILL; a process that has ended is no error. */
export function sendKill(pid: number): void {
  // 0, 1 and negative numbers mean groups of processes, or init.
  if (!Number.isSafeInteger(pid) || pid <= 1) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Program and arguments of a process; empty when it has ended. */
export async function commandLineOf(pid: number): Promise<string[]> {
  const text = await readProcessFile(pid, 'cmdline');
  return text ? text.replace(/\0$/, '').split('\0') : [];
}

/** All pids of the host. */
export async function listPids(): Promise<number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** Takes state and start time out of /proc/PID/stat; the program's name in it may hold anything. */
export function parseStat(stat: string): { state: string; startTimeTicks: string } {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => fields[number - STATE_FIELD] ?? '';
  return { state: field(STATE_FIELD), startTimeTicks: field(START_TIME_FIELD) };
}

async function readProcessFile(pid: number, name: string): Promise<string | undefined> {
  try {
    return await readFile(`/proc/${pid}/${name}`, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ESRCH: it ended between open and read.
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}
