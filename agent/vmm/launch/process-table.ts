/**
 * The host's processes, as /proc shows them. A pid alone names nobody, since
 * the kernel gives it out again; a pid with its start time does.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';

export interface ProcessIdentity {
  pid: number;
  /** Field 22 of /proc/PID/stat, in clock ticks since the host's boot. */
  startTimeTicks: string;
}

const STATE_FIELD = 3;
const START_TIME_FIELD = 22;
/** States of a process that has ended: zombie, and dead. */
const ENDED_STATES = new Set(['Z', 'X', 'x']);
const DELETED_SUFFIX = ' (deleted)';

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

/** Sends SIGKILL to exactly this process; one that has ended is no error. */
export async function killProcess(identity: ProcessIdentity): Promise<void> {
  if (await isRunning(identity)) sendKill(identity.pid);
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

/** Path of the program that a process runs, also when its file has been replaced since. */
export async function executableOf(pid: number): Promise<string | undefined> {
  try {
    const path = await readlink(`/proc/${pid}/exe`);
    return path.endsWith(DELETED_SUFFIX) ? path.slice(0, -DELETED_SUFFIX.length) : path;
  } catch {
    return undefined;
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
