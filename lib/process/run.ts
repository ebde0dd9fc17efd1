/**
 * Runs a program to its end. No shell is involved, output is bounded, and
 * there is always a time limit.
 */
import { spawn } from 'node:child_process';

/** Time limit of a program for which the caller names none. */
export const RUN_TIMEOUT_MS = 30_000;
/** Bytes of each output stream that are kept. */
export const RUN_OUTPUT_BYTES_MAX = 4 * 1024 * 1024;

export interface RunOptions {
  input?: string | Buffer;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
  /** Called with each piece of standard output and standard error, for progress. */
  onOutput?: (chunk: Buffer, stream: 'stdout' | 'stderr') => void;
}

export interface RunResult {
  stdout: string;
  stderr: string;
}

/** A program that could not be started, was killed, or ended with another code than 0. */
export class RunError extends Error {
  override readonly name = 'RunError';
  readonly command: string;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Error code of the start, such as ENOENT when there is no such program. */
  readonly code: string | undefined;

  constructor(
    command: string,
    outcome: {
      exitCode: number | null;
      signal: NodeJS.Signals | null;
      stdout: string;
      stderr: string;
    },
    cause?: NodeJS.ErrnoException,
  ) {
    const how =
      cause?.message ??
      (outcome.signal ? `killed by ${outcome.signal}` : `exit code ${outcome.exitCode}`);
    super(
      `${command}: ${how}: ${outcome.stderr.trim().slice(-2000)}`,
      cause ? { cause } : undefined,
    );
    this.command = command;
    this.exitCode = outcome.exitCode;
    this.signal = outcome.signal;
    this.stdout = outcome.stdout;
    this.stderr = outcome.stderr;
    this.code = cause?.code;
  }
}

/**
 * Runs `command` and resolves with its output when it exits with 0.
 * @throws RunError otherwise, also when the time limit or the signal ends it.
 */
export function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env,
      signal: options.signal,
      timeout: options.timeoutMs ?? RUN_TIMEOUT_MS,
      killSignal: 'SIGKILL',
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    const stdout = new BoundedOutput();
    const stderr = new BoundedOutput();
    child.stdout?.on('data', (chunk: Buffer) => {
      stdout.add(chunk);
      options.onOutput?.(chunk, 'stdout');
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr.add(chunk);
      options.onOutput?.(chunk, 'stderr');
    });
    const fail = (
      exitCode: number | null,
      signal: NodeJS.Signals | null,
      cause?: NodeJS.ErrnoException,
    ) =>
      reject(
        new RunError(
          command,
          { exitCode, signal, stdout: stdout.text(), stderr: stderr.text() },
          cause,
        ),
      );
    child.once('error', (error: NodeJS.ErrnoException) => fail(null, null, error));
    child.once('close', (exitCode, signal) => {
      if (exitCode === 0) resolve({ stdout: stdout.text(), stderr: stderr.text() });
      else fail(exitCode, signal);
    });
    // A program may end without reading its input; its exit code tells the story.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input);
  });
}

class BoundedOutput {
  readonly #chunks: Buffer[] = [];
  #size = 0;

  add(chunk: Buffer): void {
    const room = RUN_OUTPUT_BYTES_MAX - this.#size;
    if (room <= 0) return;
    this.#chunks.push(chunk.subarray(0, room));
    this.#size += Math.min(chunk.length, room);
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}
