/** Runs one command line to its exit code. Nothing it meets is thrown. */
import { CommanderError } from 'commander';
import { readClientConfig } from './config.js';
import { describeFailure } from './failure.js';
import { type CliIo, printLine } from './io.js';
import { createProgram } from './program.js';
import type { GlobalOptions } from './session.js';

/** @returns the exit code. */
export async function runCli(args: readonly string[], io: CliIo): Promise<number> {
  const outcome = { exitCode: 0 };
  const program = createProgram(io, outcome);
  try {
    await program.parseAsync(args, { from: 'user' });
    return outcome.exitCode;
  } catch (thrown) {
    // Commander has printed usage errors, and help, already.
    if (thrown instanceof CommanderError) return thrown.exitCode;
    return report(thrown, io, program.opts());
  }
}

function report(thrown: unknown, io: CliIo, options: GlobalOptions): number {
  const failure = describeFailure(
    thrown,
    () => options.address ?? readClientConfig(io.environment).address,
  );
  if (options.json) {
    printLine(io.stderr, JSON.stringify({ error: failure.body }));
  } else {
    printLine(io.stderr, `wrenn: ${failure.message}`);
    if (failure.hint) printLine(io.stderr, `       ${failure.hint}`);
  }
  return failure.exitCode;
}
