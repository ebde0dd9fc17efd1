/** `wrenn down`: pauses all sandboxes and stops the platform, wherever it runs on this machine. */
import type { CommandContext } from '../command-context.js';
import { type PlatformConfig, readPlatformConfig } from '../config.js';
import { confirm } from '../confirm.js';
import { printLine } from '../io.js';
import { destroySandboxes, pauseSandboxes, type Unpaused } from './agent-sandboxes.js';
import { stopPlatform } from './stop.js';

/** What became of the sandboxes. */
interface Outcome {
  paused: number;
  deleted: number;
}

/** @param yes whether those that cannot be paused are deleted without a question. */
export async function down({ io, session }: CommandContext, yes: boolean): Promise<void> {
  const config = readPlatformConfig(io.environment);
  await using stopped = await stopPlatform(config, io, () => pauseAll(config, io, yes));
  printStopped(io, session().json, stopped.result ?? { paused: 0, deleted: 0 });
}

async function pauseAll(
  { agentSocketPath }: PlatformConfig,
  io: CommandContext['io'],
  yes: boolean,
): Promise<Outcome> {
  const { paused, unpaused } = await pauseSandboxes(agentSocketPath, (id) =>
    printLine(io.stderr, `paused ${id}`),
  );
  if (unpaused.length === 0) return { paused: paused.length, deleted: 0 };
  for (const line of describeUnpaused(unpaused)) printLine(io.stderr, line);
  if (!yes) {
    await confirm(io, 'Delete what cannot be paused, and go on?', {
      refusal: 'they run on, and Wrenn is not stopped',
      hint: 'wrenn down --yes deletes them; Ctrl-C in its terminal stops wrenn up and leaves them running',
    });
  }
  const ids = new Set(unpaused.map(({ sandboxId }) => sandboxId));
  return { paused: paused.length, deleted: await destroySandboxes(agentSocketPath, ids) };
}

function describeUnpaused(unpaused: readonly Unpaused[]): string[] {
  return unpaused.map(({ sandboxId, reason }) => `${sandboxId} cannot be paused: ${reason}`);
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
