/** A launched program on pipes: its input stays open, and its two outputs are kept apart. */
import { WrennError } from '../../lib/errors/index.js';
import { guestFailure } from '../../lib/guest/guest-failure.js';
import type { Program, ProgramOutput } from '../../lib/guest/program.js';
import { type Child, startChild } from './child.js';
import type { Command } from './command.js';
import { drainOutput } from './drain-output.js';
import type { InputStream } from './input-stream.js';
import type { Output } from './output.js';
import type { Programs } from './run-program.js';
import { openStdio, type Stdio } from './stdio.js';

/** @throws WrennError COMMAND_NOT_FOUND or COMMAND_NOT_STARTED. */
export async function startPipedProgram(
  programs: Programs,
  command: Command,
  closeStdin: boolean,
): Promise<Program> {
  let stdio: Stdio | undefined;
  try {
    stdio = await openStdio(programs, command.account, closeStdin ? Buffer.alloc(0) : 'pipe');
    const child = await startChild(command, stdio.forProgram, programs.busyboxPath);
    return new PipedProgram(command.cwd, child, stdio.takeOutput(), stdio.takeInput());
  } catch (error) {
    throw error instanceof WrennError ? error : guestFailure('program_not_started', error);
  } finally {
    stdio?.close();
  }
}

class PipedProgram implements Program {
  readonly cwd: string;
  readonly pid: number;
  readonly exited: Program['exited'];
  readonly output: AsyncIterable<ProgramOutput>;
  readonly #child: Child;
  readonly #input: InputStream | undefined;

  constructor(cwd: string, child: Child, output: Output, input: InputStream | undefined) {
    this.cwd = cwd;
    this.pid = child.pid;
    this.#child = child;
    this.#input = input;
    this.output = drainAndDrop(child, output);
    this.exited = child.exited.then((exit) => {
      input?.destroy();
      return exit;
    });
  }

  async write(input: Buffer): Promise<void> {
    await this.#input?.write(input);
  }

  closeInput(): void {
    this.#input?.end();
  }

  async resize(): Promise<void> {
    throw guestFailure('no_terminal');
  }

  signal(number: number): void {
    this.#child.signal(number);
  }
}

async function* drainAndDrop(child: Child, output: Output): AsyncIterable<ProgramOutput> {
  try {
    yield* drainOutput(child, output);
  } finally {
    output.drop();
  }
}
