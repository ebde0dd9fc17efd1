/** `wrenn down`: pauses all sandboxes and stops the platform, wherever it runs on this machine. */
import type { CommandContext } from '../command-context.js';
import { readPlatformConfig } from '../config.js';
import { printLine } from '../io.js';
import { type Outcome, pauseAll } from './pause-all.js';
import { stopPlatform } from './stop.js';

/** @param yes whether those that cannot be paused are deleted without a question. */
export async function down({ io, session }: CommandContext, yes: boolean): Promise<void> {
  const config = readPlatformConfig(io.environment);
  await using stopped = await stopPlatform(config, io, () =>
    pauseAll(config.agentSocketPath, io, yes),
  );
  printStopped(io, session().json, stopped.result ?? { paused: 0, deleted: 0 });
}

function printStopped(io: CommandContext['io'], json: boolean, { paused, deleted }: Outcome): void {
  if (json) {
    const body = { paused_sandboxes: paused, deleted_sandboxes: deleted };
    printLine(io.stdout, JSON.stringify(body));
    return;
  }
  const lost = deleted > 0 ? `, ${count(deleted)} deleted` : '';
  printLine(io.stdout, `stopped; ${count(paused)} paused${lost}`);
}

function count(sandboxes: number): string {
  return `${sandboxes} sandbox${sandboxes === 1 ? '' : 'es'}`;
}
