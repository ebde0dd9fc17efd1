/** The host agent's configuration, out of the environment. Nothing else reads it. */
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { Environment } from '../lib/config/environment.js';
import { LOG_LEVELS, type LogLevel } from '../lib/log/winston-log.js';

/** Memory in MiB that stays with the host when no limit is set. */
const HOST_RESERVE_MB = 1024;
const MIB = 1024 * 1024;

export const DRIVER_CHOICES = ['auto', 'qemu', 'fake'] as const;

export interface AgentConfig {
  stateDirectory: string;
  runDirectory: string;
  imagesDirectory: string;
  socketPath: string;
  driver: (typeof DRIVER_CHOICES)[number];
  /** Undefined: a free one is chosen and kept. */
  networkCidr: string | undefined;
  networkPoolSize: number;
  memoryMbMax: number;
  warmTemplatesMax: number;
  readyMachinesMax: number;
  fakeBootMs: number;
  logLevel: LogLevel;
}

/** @throws WrennError naming the setting that is wrong. */
export function readConfig(values: NodeJS.ProcessEnv = process.env): AgentConfig {
  const environment = new Environment(values);
  const runDirectory = environment.path('WRENN_RUN_DIR', '/run/wrenn');
  const memoryDefaultMb = Math.max(256, Math.floor(totalmem() / MIB) - HOST_RESERVE_MB);
  const config: AgentConfig = {
    stateDirectory: environment.path('WRENN_STATE_DIR', '/var/lib/wrenn'),
    runDirectory,
    imagesDirectory: environment.path('WRENN_IMAGES_DIR', '/var/lib/wrenn/images'),
    socketPath: environment.path('WRENN_AGENT_SOCKET', join(runDirectory, 'agent.sock')),
    driver: environment.choice('WRENN_VMM_DRIVER', DRIVER_CHOICES, 'auto'),
    networkCidr: environment.optional('WRENN_NETWORK_CIDR'),
    networkPoolSize: environment.integer('WRENN_NETWORK_POOL_SIZE', 2, { min: 0, max: 64 }),
    memoryMbMax: environment.integer('WRENN_MEMORY_MB_MAX', memoryDefaultMb, {
      min: 128,
      max: 64 * 1024 * 1024,
    }),
    warmTemplatesMax: environment.integer('WRENN_WARM_TEMPLATES_MAX', 16, { min: 0, max: 1000 }),
    readyMachinesMax: environment.integer('WRENN_READY_MACHINES_MAX', 0, { min: 0, max: 100 }),
    fakeBootMs: environment.integer('WRENN_FAKE_BOOT_MS', 5, { min: 0, max: 600_000 }),
    logLevel: environment.choice('WRENN_LOG_LEVEL', LOG_LEVELS, 'info'),
  };
  environment.rejectUnknown();
  return config;
}
