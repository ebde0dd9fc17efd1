/** What a reader must know of the machine to judge a figure, and how noisy it was meanwhile. */
import { readFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem } from 'node:os';
import type { Host } from '../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { packageRoot } from '../lib/files/package-root.js';
import { run } from '../lib/process/run.js';

const MIB = 1024 * 1024;

export interface MachineFacts {
  date: string;
  /** The code that was measured, as git names it; `unknown` outside of a repository. */
  commit: string;
  cpu: string;
  cores: number;
  memory_mb: number;
  kernel: string;
  node: string;
  /** Of a benchmark that runs machines. */
  driver?: string;
  accelerator?: string;
}

/** @param host the agent whose machines are measured, if there is one. */
export async function machineFacts(host?: Host): Promise<MachineFacts> {
  return {
    date: new Date().toISOString(),
    commit: await commit(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory_mb: Math.round(totalmem() / MIB),
    kernel: release(),
    node: process.version,
    ...(host && { driver: host.driver, accelerator: host.accelerator }),
  };
}

async function commit(): Promise<string> {
  try {
    const { stdout } = await run('git', ['describe', '--always', '--dirty'], {
      cwd: packageRoot(),
    });
    return stdout.trim();
  } catch {
    return 'unknown';
  }
}

/** The processors over a stretch of time. */
export interface Noise {
  /** Processes that ran or wanted to, over the minute before the beginning. */
  load_before: number;
  load_after: number;
  /** Share of processor time that was not idle, the benchmark's own included. */
  busy_share: number;
  /** Share that the hypervisor gave to others. */
  stolen_share: number;
}

/** Begins to watch the processors. @returns what was seen until it is called. */
export async function watchNoise(): Promise<() => Promise<Noise>> {
  const loadBefore = loadavg()[0] ?? 0;
  const before = await readCpuTimes();
  return async () => {
    const after = await readCpuTimes();
    const total = after.total - before.total || 1;
    return {
      load_before: loadBefore,
      load_after: loadavg()[0] ?? 0,
      busy_share: 1 - (after.idle - before.idle) / total,
      stolen_share: (after.stolen - before.stolen) / total,
    };
  };
}

export interface CpuTimes {
  total: number;
  idle: number;
  stolen: number;
}

async function readCpuTimes(): Promise<CpuTimes> {
  return parseCpuTimes(await readFile('/proc/stat', 'utf8'));
}

/** Clock ticks of all processors since boot, from the first line of /proc/stat (proc(5)). */
export function parseCpuTimes(stat: string): CpuTimes {
  // Guest time, which follows, is in user time already.
  const [user, nice, system, idle, ioWait, irq, softIrq, stolen] = (stat.split('\n')[0] ?? '')
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const waiting = (idle ?? 0) + (ioWait ?? 0);
  const working = [user, nice, system, irq, softIrq, stolen].reduce<number>(
    (sum, ticks) => sum + (ticks ?? 0),
    0,
  );
  return { total: waiting + working, idle: waiting, stolen: stolen ?? 0 };
}
