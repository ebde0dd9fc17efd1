/**
 * Where a demo lives: folders of its own beside those of `wrenn up`, and free
 * ports, so that it disturbs nothing; only the images are shared. The folders
 * are always the same ones, so that a demo finds and removes what a killed one
 * left behind.
 */
import { rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type PlatformConfig, readPlatformConfig } from '../config.js';
import { CliError } from '../failure.js';
import { findFreePort } from '../up/addresses.js';
import { claimPlatform } from '../up/exclusive.js';
import { requireHost } from '../up/machine.js';

/** Settings that belong to the user's own platform. */
const NOT_FOR_DEMOS = [
  'DATABASE_URL',
  'DATABASE_SCHEMA',
  'WRENN_AGENT_SOCKET',
  'WRENN_NETWORK_CIDR',
];

export interface DemoPlace extends AsyncDisposable {
  config: PlatformConfig;
  /** Whether sandboxes may still run there; then the folders must stay, or nobody finds them again. */
  isInUse: boolean;
  /** Deletes the folders, to be called when nothing runs in them any more. */
  remove(): Promise<void>;
}

/** @param name tells demos apart that may run at the same time. */
export async function claimDemoPlace(
  name: string,
  environment: NodeJS.ProcessEnv,
): Promise<DemoPlace> {
  const config = await demoConfig(name, environment);
  requireHost(config);
  const claim = await claimPlatform(config);
  if (!claim)
    throw new CliError(`another demo runs in ${config.stateDirectory}`, 'wait for its end');
  return {
    config,
    isInUse: false,
    remove: async () => {
      await rm(config.stateDirectory, { recursive: true, force: true });
      await rm(config.runDirectory, { recursive: true, force: true });
      for (const parent of [config.stateDirectory, config.runDirectory].map(dirname)) {
        // Only if the demo made it: a folder in use is not empty.
        await rmdir(parent).catch(() => undefined);
      }
    },
    [Symbol.asyncDispose]: async () => void (await claim.undo()),
  };
}

async function demoConfig(name: string, environment: NodeJS.ProcessEnv): Promise<PlatformConfig> {
  const { stateDirectory, runDirectory, imagesDirectory } = readPlatformConfig(environment);
  const own = Object.entries(environment).filter(([key]) => !NOT_FOR_DEMOS.includes(key));
  return readPlatformConfig({
    ...Object.fromEntries(own),
    WRENN_STATE_DIR: join(stateDirectory, name),
    WRENN_RUN_DIR: join(runDirectory, name),
    WRENN_IMAGES_DIR: imagesDirectory,
    WRENN_HTTP_ADDRESS: `127.0.0.1:${await findFreePort()}`,
    WRENN_GRPC_ADDRESS: `127.0.0.1:${await findFreePort()}`,
  });
}
