/** `wrenn down`: deletes all sandboxes and stops the platform, wherever it runs on this machine. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Rollback } from '../../lib/lifecycle/rollback.js';
import { shutdownSignal } from '../../lib/lifecycle/shutdown.js';
import type { CommandContext } from '../command-context.js';
import { type PlatformConfig, readPlatformConfig } from '../config.js';
import { confirm } from '../confirm.js';
import { CliError } from '../failure.js';
import { printLine } from '../io.js';
import { deleteSandboxes } from './delete-sandboxes.js';
import { claimPlatform, claimWhenFree, supervisorPid } from './exclusive.js';
import { requireAddresses, requireHost } from './machine.js';
import { startPlatform } from './platform.js';
import { createTerminalReport } from './terminal-report.js';

/** Time that a supervisor gets to stop its daemons. */
const SUPERVISOR_STOP_TIMEOUT_MS = 90_000;

export async function down({ io, session }: CommandContext, yes: boolean): Promise<void> {
  const config = readPlatformConfig(io.environment);
  if (!yes) await confirm(io, 'This deletes all sandboxes and stops Wrenn. Go on?');
  await using stopped = await stopPlatform(config, io, byUser);
  printStopped(io, session().json, stopped.deleted);
}

/** How the sandboxes of a platform are ended, while it runs and when it does not. */
export interface Deletion {
  start: typeof startPlatform;
  /** @returns how many there were. */
  deleteAll(config: PlatformConfig): Promise<number>;
}

/** As their owner would, so that the database knows. */
const byUser: Deletion = { start: startPlatform, deleteAll: deleteSandboxes };

/** A platform that has been stopped and cannot be started by others until this is disposed of. */
export interface StoppedPlatform extends AsyncDisposable {
  /** Sandboxes that were deleted. */
  deleted: number;
}

/** Deletes all sandboxes and stops what runs. */
export async function stopPlatform(
  config: PlatformConfig,
  io: CommandContext['io'],
  deletion: Deletion,
): Promise<StoppedPlatform> {
  requireHost(config);
  const claim = await claimPlatform(config);
  if (!claim) return stopRunning(config, deletion);
  try {
    return stoppedPlatform(claim, await deleteLeftBehind(config, io, deletion));
  } catch (error) {
    await claim.undo();
    throw error;
  }
}

export function printStopped(io: CommandContext['io'], json: boolean, deleted: number): void {
  const text = `stopped; ${deleted} sandbox${deleted === 1 ? '' : 'es'} deleted`;
  printLine(io.stdout, json ? JSON.stringify({ deleted_sandboxes: deleted }) : text);
}

async function stopRunning(config: PlatformConfig, deletion: Deletion): Promise<StoppedPlatform> {
  const pid = await supervisorPid(config);
  if (pid === undefined) throw new CliError('wrenn is being started or stopped; try again');
  // A platform that cannot delete any more can still be stopped.
  const [deletions] = await Promise.allSettled([deletion.deleteAll(config)]);
  process.kill(pid, 'SIGTERM');
  const claim = await claimWhenFree(config, SUPERVISOR_STOP_TIMEOUT_MS);
  if (deletions.status === 'fulfilled') return stoppedPlatform(claim, deletions.value);
  await claim.undo();
  throw deletions.reason;
}

/** Sandboxes outlive the platform, so it is started once more to delete them. */
async function deleteLeftBehind(
  config: PlatformConfig,
  io: CommandContext['io'],
  { start, deleteAll }: Deletion,
): Promise<number> {
  if (!existsSync(join(config.stateDirectory, 'instance.json'))) return 0;
  if (start === startPlatform) await requireAddresses(config);
  const report = createTerminalReport(io.stderr, false);
  const platform = await start(config, report, shutdownSignal());
  try {
    return await deleteAll(config);
  } finally {
    await platform.stop();
  }
}

function stoppedPlatform(claim: Rollback, deleted: number): StoppedPlatform {
  return { deleted, [Symbol.asyncDispose]: async () => void (await claim.undo()) };
}
