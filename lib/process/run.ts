/**
 * Runs a program to its end. No shell is involved, output is bounded, and
 * there is always a time limit, which holds for all that the program starts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { signalGroup, watchGroup } from './process-groups.js';

/** Time limit of a program for which the caller names none. */
export const RUN_TIMEOUT_MS = 30_000;
/** Bytes of each output stream that are kept. */
export const RUN_OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
/**
 * How long the output of a program that has ended is waited for; a process that it left behind
 * may hold it open for ever. It is also the time that a killed program has to be gone.
 */
export const RUN_OUTPUT_GRACE_MS = 500;

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
 * Runs `command` and resolves with its output when it exits with 0. The time limit and the signal
 * kill it together with what it has started; what it leaves behind when it exits by itself stays.
 * @throws RunError otherwise, also when the time limit or the signal ends it.
 */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const { signal, timeoutMs = RUN_TIMEOUT_MS } = options;
  if (signal?.aborted) {
    const outcome = { exitCode: null, signal: null, stdout: '', stderr: '' };
    throw new RunError(command, outcome, abortedBy(signal));
  }
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    // The leader of a group of its own, which can be killed as a whole.
    detached: true,
  });
  const output = collectOutput(child, options.onOutput);
  // A program may end without reading its input; its exit code tells the story.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input);

  const { exitCode, killedBy, cause } = await untilEnded(child, timeoutMs, signal);
  const texts = { stdout: output.stdout.text(), stderr: output.stderr.text() };
  if (exitCode === 0 && !cause) return texts;
  throw new RunError(command, { exitCode, signal: killedBy, ...texts }, cause);
}

interface Ending {
  exitCode: number | null;
  killedBy: NodeJS.Signals | null;
  /** Why it could not be started, or that the caller ended it. */
  cause?: NodeJS.ErrnoException;
}

/** Resolves when the program has ended and its output is read, or nobody waits for that longer. */
function untilEnded(
  child: ChildProcess,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Ending> {
  return new Promise((resolve) => {
    const { pid } = child;
    const unwatch = pid === undefined ? undefined : watchGroup(pid);
    const ending: Ending = { exitCode: null, killedBy: null };
    let grace: NodeJS.Timeout | undefined;

    const settle = () => {
      clearTimeout(timer);
      clearTimeout(grace);
      signal?.removeEventListener('abort', onAbort);
      unwatch?.();
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
      resolve(ending);
    };
    // What came while this process was busy is read before the immediate, after the timer.
    const settleSoon = () => {
      grace ??= setTimeout(() => setImmediate(settle), RUN_OUTPUT_GRACE_MS);
    };
    const kill = () => {
      ending.killedBy = 'SIGKILL';
      if (pid !== undefined) signalGroup(pid, 'SIGKILL');
      settleSoon();
    };
    const onAbort = () => {
      if (signal) ending.cause = abortedBy(signal);
      kill();
    };
    const timer = setTimeout(kill, timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });

    child.once('error', (cause: NodeJS.ErrnoException) => {
      ending.cause = cause;
      settle();
    });
    child.once('exit', (exitCode, killedBy) => {
      ending.exitCode = exitCode;
      ending.killedBy = killedBy;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      settleSoon();
    });
    child.once('close', settle);
  });
}

function abortedBy(signal: AbortSignal): NodeJS.ErrnoException {
  return Object.assign(new Error('the caller ended it', { cause: signal.reason }), {
    code: 'ABORT_ERR',
  });
}

function collectOutput(child: ChildProcess, onOutput: RunOptions['onOutput']) {
  const output = { stdout: new BoundedOutput(), stderr: new BoundedOutput() };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.on('data', (chunk: Buffer) => {
      output[stream].add(chunk);
      onOutput?.(chunk, stream);
    });
  }
  return output;
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
