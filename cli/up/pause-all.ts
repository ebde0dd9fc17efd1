/** Pauses all sandboxes of this machine, and asks what to do with those that cannot be paused. */
import { confirm } from '../confirm.js';
import { type CliIo, printLine } from '../io.js';
import { destroySandboxes, pauseSandboxes, type Unpaused } from './agent-sandboxes.js';

/** What became of the sandboxes. */
export interface Outcome {
  paused: number;
  deleted: number;
}

/**
 * @param yes whether they are deleted without a question.
 * @throws CliError when they are not to be deleted; then they run on.
 */
export async function pauseAll(socketPath: string, io: CliIo, yes: boolean): Promise<Outcome> {
  const { paused, unpaused } = await pauseSandboxes(socketPath, (id) =>
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
  return { paused: paused.length, deleted: await destroySandboxes(socketPath, ids) };
}

function describeUnpaused(unpaused: readonly Unpaused[]): string[] {
  return unpaused.map(({ sandboxId, reason }) => `${sandboxId} cannot be paused: ${reason}`);
}
