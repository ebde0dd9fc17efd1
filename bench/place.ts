/**
 * Where a benchmark's platform lives: folders of its own beside those of
 * `wrenn up`, and free ports; only the images are shared. The folders are
 * the same ones for each driver, so that a run finds and removes what a killed
 * one left.
 */
import { join } from 'node:path';
import { loadEnvironment, type PlatformConfig, readPlatformConfig } from '../cli/config.js';
import { findFreePort } from '../cli/up/addresses.js';

/** The control plane would delete sandboxes that it did not make; a benchmark makes some at the agent. */
const RECONCILE_GRACE_MS = 86_400_000;

/**
 * Settings that belong to the user's own platform. They are emptied, not left
 * out, since `wrenn` would take them from the `.env` file.
 */
const NOT_FOR_BENCHMARKS = {
  DATABASE_URL: '',
  DATABASE_SCHEMA: '',
  WRENN_AGENT_SOCKET: '',
  WRENN_NETWORK_CIDR: '',
};

export type Driver = 'qemu' | 'fake';
/** What a benchmark sets beside that, by the name of the variable. */
export type Settings = Readonly<Record<string, string>>;

/** The settings of a platform for benchmarks; everything that is not named here is as it ships. */
export async function benchConfig(driver: Driver, settings: Settings): Promise<PlatformConfig> {
  const environment = loadEnvironment();
  const { stateDirectory, runDirectory } = readPlatformConfig(environment);
  const folder = `bench-${driver}`;
  return readPlatformConfig({
    ...environment,
    ...NOT_FOR_BENCHMARKS,
    WRENN_STATE_DIR: join(stateDirectory, folder),
    WRENN_RUN_DIR: join(runDirectory, folder),
    WRENN_CONFIG_DIR: join(stateDirectory, folder, 'config'),
    WRENN_HTTP_ADDRESS: `127.0.0.1:${await findFreePort()}`,
    WRENN_GRPC_ADDRESS: `127.0.0.1:${await findFreePort()}`,
    WRENN_VMM_DRIVER: driver,
    WRENN_RECONCILE_GRACE_MS: String(RECONCILE_GRACE_MS),
    ...settings,
  });
}
