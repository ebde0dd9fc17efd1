/**
 * What a VMM's cgroup is limited to, as the files of cgroup v1 and v2 say it.
 * Pure: cgroup.ts writes them.
 */
export const CONTROLLERS = ['memory', 'cpu', 'pids'] as const;
export type Controller = (typeof CONTROLLERS)[number];

export interface CgroupLimits {
  /** Memory of the VMM with all that it maps, writes and caches. */
  memoryBytes: number;
  /** Processors that it may keep busy; 1.5 is one and a half. */
  cpus: number;
  /** Threads and processes. */
  pids: number;
}

export interface CgroupSetting {
  controller: Controller;
  file: string;
  value: string;
  /** Kernels without swap accounting, or with a newer memory controller, lack the file. */
  optional?: boolean;
}

/** Time over which a quota of processor time holds, in microseconds; the kernel's own default. */
const CPU_PERIOD_US = 100_000;

export function settingsV1(limits: CgroupLimits): CgroupSetting[] {
  const memory = String(limits.memoryBytes);
  return [
    { controller: 'memory', file: 'memory.limit_in_bytes', value: memory },
    // Memory and swap together, so none of it is swap. It may not be below the limit before it.
    { controller: 'memory', file: 'memory.memsw.limit_in_bytes', value: memory, optional: true },
    { controller: 'memory', file: 'memory.swappiness', value: '0', optional: true },
    { controller: 'cpu', file: 'cpu.cfs_period_us', value: String(CPU_PERIOD_US) },
    { controller: 'cpu', file: 'cpu.cfs_quota_us', value: String(cpuQuotaUs(limits)) },
    { controller: 'pids', file: 'pids.max', value: String(limits.pids) },
  ];
}

export function settingsV2(limits: CgroupLimits): CgroupSetting[] {
  return [
    { controller: 'memory', file: 'memory.max', value: String(limits.memoryBytes) },
    { controller: 'memory', file: 'memory.swap.max', value: '0', optional: true },
    { controller: 'memory', file: 'memory.oom.group', value: '1', optional: true },
    { controller: 'cpu', file: 'cpu.max', value: `${cpuQuotaUs(limits)} ${CPU_PERIOD_US}` },
    { controller: 'pids', file: 'pids.max', value: String(limits.pids) },
  ];
}

function cpuQuotaUs(limits: CgroupLimits): number {
  return Math.round(limits.cpus * CPU_PERIOD_US);
}
