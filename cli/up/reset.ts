/** `wrenn reset`: deletes all sandboxes, stops the platform and deletes all of its state. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { reachableAddress } from '../address.js';
import type { CommandContext } from '../command-context.js';
import { type PlatformConfig, readClientConfig, readPlatformConfig } from '../config.js';
import { confirm } from '../confirm.js';
import { CredentialStore } from '../credentials.js';
import { printLine } from '../io.js';
import { destroySandboxes } from './agent-sandboxes.js';
import { isLocalUser } from './local-user.js';
import { stopPlatform } from './stop.js';

/** What the platform puts into its folders; whatever else lies there is not touched. */
const STATE_ENTRIES = [
  ...['instance.json', 'local-user.json', 'jwt-secret'],
  ...['kvm-probe.json', 'tsc-khz.json'],
  ...['postgres', 'sandboxes', 'snapshots', 'logs'],
];
const RUN_ENTRIES = ['agent.sock', 'ledger', 'sandboxes', 'postgres'];

export async function reset({ io, session }: CommandContext, yes: boolean): Promise<void> {
  const config = readPlatformConfig(io.environment);
  const what = describeState(config);
  if (!yes) await confirm(io, `This deletes ${what}. Go on?`);

  await using stopped = await stopPlatform(config, io, () =>
    destroySandboxes(config.agentSocketPath),
  );
  await removeEntries(config.stateDirectory, STATE_ENTRIES);
  await removeEntries(config.runDirectory, RUN_ENTRIES);
  await forgetLocalUser(io.environment, config);
  const json = JSON.stringify({ deleted_sandboxes: stopped.result ?? 0 });
  printLine(io.stdout, session().json ? json : `deleted ${what}`);
}

function describeState({ stateDirectory, databaseUrl }: PlatformConfig): string {
  return databaseUrl === undefined
    ? `all sandboxes and snapshots, and users, keys, database and logs in ${stateDirectory}`
    : `all sandboxes and snapshots, and what is in ${stateDirectory}, but not the database of DATABASE_URL`;
}

async function removeEntries(directory: string, entries: readonly string[]): Promise<void> {
  for (const entry of entries) {
    await rm(join(directory, entry), { recursive: true, force: true });
  }
}

async function forgetLocalUser(
  environment: NodeJS.ProcessEnv,
  { grpcAddress }: PlatformConfig,
): Promise<void> {
  const store = new CredentialStore(readClientConfig(environment).configDirectory);
  const address = reachableAddress(grpcAddress);
  if (isLocalUser((await store.read(address)).email)) await store.remove(address);
}
