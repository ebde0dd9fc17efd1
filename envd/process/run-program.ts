/** One program from its start to its end, as the events of ProcessService.Start. */
import { stat } from 'node:fs/promises';
import type { StartRequest, StartResponse } from '../../gen/ts/wrenn/envd/v1/process.js';
import { WrennError } from '../../lib/errors/index.js';
import { guestFailure } from '../../lib/guest/guest-failure.js';
import { type Account, findAccount } from '../accounts.js';
import { type Child, type Command, type Exit, startChild } from './child.js';
import { type Environment, environmentOf } from './environment.js';
import { findProgram } from './find-program.js';
import type { Output } from './output.js';
import { openStdio, type Stdio, type StdioSource } from './stdio.js';

/**
 * How long output is waited for after the program itself has ended: a program
 * that it left in the background may hold the pipes for ever.
 */
const OUTPUT_WAIT_AFTER_EXIT_MS = 1_000;
/** As much as both pipes can hold at the end; what exceeds it came from the background. */
const OUTPUT_BYTES_AFTER_EXIT_MAX = 2 * 1024 * 1024;
/** Longest time that a Node timer can hold. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;
const DEFAULT_USER = 'root';

export interface Programs extends StdioSource {
  busyboxPath: string;
  /** Variables that PostInit set. */
  sandboxEnvironment: () => Environment;
}

/**
 * Runs a program: `started`, its output, `exited`. Its group is killed when
 * the signal aborts, the time is over, or the consumer stops early.
 * @throws WrennError COMMAND_NOT_FOUND or COMMAND_NOT_STARTED, before the first event.
 */
export async function* runProgram(
  programs: Programs,
  request: StartRequest,
  signal: AbortSignal,
): AsyncIterable<StartResponse> {
  const command = await toCommand(programs, request);
  signal.throwIfAborted();
  const startedAt = performance.now();
  const { child, output } = await start(programs, command, request.stdin);

  const watch = new Watch(child, request.timeoutMs, signal);
  try {
    yield { event: { $case: 'started', value: { pid: child.pid } } };
    yield* copyOutput(child, output);
    const { exitCode, signal: endedBy, endedAt } = await child.exited;
    const durationMs = endedAt - startedAt;
    yield {
      event: {
        $case: 'exited',
        value: { exitCode, signal: endedBy, timedOut: watch.timedOut, durationMs },
      },
    };
  } finally {
    watch.end();
    output.drop();
  }
}

async function toCommand(programs: Programs, request: StartRequest): Promise<Command> {
  const account = await findAccount(request.user || DEFAULT_USER);
  if (!account) throw guestFailure('program_user_unknown');
  const env = environmentOf(account, programs.sandboxEnvironment(), request.env);
  const cwd = await workingDirectory(request.cwd, account);
  const path = await findProgram(request.cmd, env.PATH ?? '', cwd);
  return { path, name: request.cmd, args: request.args, env, cwd, account };
}

async function workingDirectory(wanted: string, account: Account): Promise<string> {
  if (wanted !== '') {
    if (!wanted.startsWith('/') || !(await isDirectory(wanted))) throw guestFailure('program_cwd');
    return wanted;
  }
  return (await isDirectory(account.home)) ? account.home : '/';
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

async function start(
  programs: Programs,
  command: Command,
  stdin: Uint8Array,
): Promise<{ child: Child; output: Output }> {
  let stdio: Stdio | undefined;
  try {
    stdio = await openStdio(programs, command.account, stdin);
    const child = await startChild(command, stdio.forProgram, programs.busyboxPath);
    return { child, output: stdio.takeOutput() };
  } catch (error) {
    throw error instanceof WrennError ? error : guestFailure('program_not_started', error);
  } finally {
    stdio?.close();
  }
}

/** Yields output until both pipes are closed, or the program is gone and its output too. */
async function* copyOutput(child: Child, output: Output): AsyncIterable<StartResponse> {
  let exit: Exit | undefined;
  let waitMs = OUTPUT_WAIT_AFTER_EXIT_MS;
  let bytesLeft = OUTPUT_BYTES_AFTER_EXIT_MAX;
  const exited = child.exited.then((value) => {
    exit = value;
  });
  while (!output.ended) {
    const chunk = output.take();
    if (chunk) {
      yield { event: { $case: chunk.stream, value: chunk.data } };
      if (exit) bytesLeft -= chunk.data.length;
    } else if (exit) {
      // Only waiting counts: a caller that takes its time still gets all that was written.
      const waitedFrom = performance.now();
      await within(output.changed(), waitMs);
      waitMs -= performance.now() - waitedFrom;
    } else {
      await Promise.race([output.changed(), exited]);
    }
    if (waitMs <= 0 || bytesLeft <= 0) return;
  }
}

async function within(promise: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([promise, expired]);
  clearTimeout(timer);
}

/** Kills the group when the caller goes away or the time is over. */
class Watch {
  readonly #child: Child;
  readonly #signal: AbortSignal;
  readonly #kill: () => void;
  #timer: NodeJS.Timeout | undefined;
  #running = true;
  timedOut = false;

  constructor(child: Child, timeoutMs: number, signal: AbortSignal) {
    this.#child = child;
    this.#signal = signal;
    this.#kill = () => child.kill();
    signal.addEventListener('abort', this.#kill, { once: true });
    if (signal.aborted) child.kill();
    if (timeoutMs > 0) {
      this.#timer = setTimeout(() => this.#expire(), Math.min(timeoutMs, TIMEOUT_MS_MAX));
    }
    void child.exited.then(() => {
      this.#running = false;
      clearTimeout(this.#timer);
    });
  }

  /** Called once the events are over, for whatever cause. */
  end(): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#kill);
    // The consumer stopped before the program did.
    if (this.#running) this.#child.kill();
  }

  #expire(): void {
    this.timedOut = true;
    this.#child.kill();
  }
}
