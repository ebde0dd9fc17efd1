/** Turns what goes wrong in a build into one plain sentence that says what to do. */
import { Code, WrennError } from '../lib/errors/index.js';
import { RunError, type RunOptions, type RunResult, run } from '../lib/process/run.js';

const DISK_FULL = /No space left on device|You don't have enough free space/i;

/**
 * Runs a program as one step of a build.
 * @param activity what the step does, such as `unpacking the kernel package`.
 * @throws WrennError when the program is missing or fails.
 */
export async function runStep(
  activity: string,
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  try {
    return await run(command, args, options);
  } catch (error) {
    throw explain(activity, error);
  }
}

/** The WrennError of a failed activity; a WrennError stays what it is. */
export function explain(activity: string, error: unknown): WrennError {
  if (error instanceof WrennError) return error;
  if (isDiskFull(error)) {
    return new WrennError(
      Code.RESOURCE_EXHAUSTED,
      'HOST_DISK_FULL',
      `the disk became full while ${activity}: free some space and start again`,
      { cause: error },
    );
  }
  if (error instanceof RunError && error.code === 'ENOENT') {
    return requirement(
      `the program ${error.command} is missing, it is needed for ${activity}`,
      error,
    );
  }
  if (error instanceof RunError) {
    return requirement(`${activity} failed: ${reasonOf(error)}`, error);
  }
  const text = error instanceof Error ? error.message : String(error);
  return requirement(`${activity} failed: ${text}`, error);
}

/** A sentence about what the host lacks. */
export function requirement(sentence: string, cause?: unknown): WrennError {
  return new WrennError(Code.FAILED_PRECONDITION, 'HOST_REQUIREMENT', sentence, { cause });
}

function isDiskFull(error: unknown): boolean {
  if (error instanceof RunError)
    return DISK_FULL.test(error.stderr) || DISK_FULL.test(error.stdout);
  return (error as NodeJS.ErrnoException | undefined)?.code === 'ENOSPC';
}

/** The last line that a program printed about its failure, or how it ended. */
function reasonOf({ command, exitCode, signal, stdout, stderr }: RunError): string {
  const lines = (stderr.trim() || stdout.trim()).split('\n');
  const errors = lines.filter((line) => /^E:|error|failed|cannot|unable/i.test(line));
  const line = (errors.at(-1) ?? lines.at(-1) ?? '').trim();
  if (line) return line;
  return signal ? `${command} was killed by ${signal}` : `${command} ended with ${exitCode}`;
}
