/**
 * Stops a platform, wherever it runs on this machine, after something has been
 * done with its sandboxes. They outlive it: when it does not run, its agent is
 * started once more to reach them.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Rollback } from '../../lib/lifecycle/rollback.js';
import { shutdownSignal } from '../../lib/lifecycle/shutdown.js';
import type { PlatformConfig } from '../config.js';
import { CliError } from '../failure.js';
import type { CliIo } from '../io.js';
import { claimPlatform, claimWhenFree, supervisorPid } from './exclusive.js';
import { requireHost } from './machine.js';
import { startAgentAlone } from './platform.js';
import { createTerminalReport } from './terminal-report.js';

/** Time that a supervisor gets to stop its daemons. */
const SUPERVISOR_STOP_TIMEOUT_MS = 90_000;

/** A platform that has been stopped and cannot be started by others until this is disposed of. */
export interface StoppedPlatform<T> extends AsyncDisposable {
  /** What `before` returned; undefined when there never was a platform. */
  result: T | undefined;
}

/**
 * Calls `before` while the agent runs, and then stops everything.
 * @throws CliError of `before`, which is a refusal: a platform that runs goes on then.
 */
export async function stopPlatform<T>(
  config: PlatformConfig,
  io: CliIo,
  before: () => Promise<T>,
): Promise<StoppedPlatform<T>> {
  requireHost(config);
  const claim = await claimPlatform(config);
  if (!claim) return stopRunning(config, before);
  try {
    return stopped(claim, await withAgentAlone(config, io, before));
  } catch (error) {
    await claim.undo();
    throw error;
  }
}

async function stopRunning<T>(
  config: PlatformConfig,
  before: () => Promise<T>,
): Promise<StoppedPlatform<T>> {
  const pid = await supervisorPid(config);
  if (pid === undefined) throw new CliError('wrenn is being started or stopped; try again');
  const [outcome] = await Promise.allSettled([before()]);
  const failed = outcome.status === 'rejected';
  if (failed && outcome.reason instanceof CliError) throw outcome.reason;
  // A platform whose agent does not answer any more can still be stopped.
  process.kill(pid, 'SIGTERM');
  const claim = await claimWhenFree(config, SUPERVISOR_STOP_TIMEOUT_MS);
  if (!failed) return stopped(claim, outcome.value);
  await claim.undo();
  throw outcome.reason;
}

/** Needs neither a database, which may be why the platform does not run, nor free ports. */
async function withAgentAlone<T>(
  config: PlatformConfig,
  io: CliIo,
  use: () => Promise<T>,
): Promise<T | undefined> {
  if (!existsSync(join(config.stateDirectory, 'instance.json'))) return undefined;
  const report = createTerminalReport(io.stderr, false);
  const agent = await startAgentAlone(config, report, shutdownSignal());
  try {
    return await Promise.race([use(), agent.failed]);
  } finally {
    await agent.stop();
  }
}

function stopped<T>(claim: Rollback, result: T | undefined): StoppedPlatform<T> {
  return { result, [Symbol.asyncDispose]: async () => void (await claim.undo()) };
}
