/**
 * A program that runs beside a benchmark. It has a session of its own, so that
 * Ctrl-C reaches the benchmark alone, and the kernel ends it when the benchmark
 * is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Characters kept of what it says on standard error, for the message when it fails. */
const LAST_WORDS_MAX = 4000;

export interface BackgroundProcessOptions {
  /** The program and its arguments. */
  command: readonly string[];
  environment?: NodeJS.ProcessEnv;
  /** What the kernel sends it when the benchmark dies. */
  deathSignal: 'TERM' | 'KILL';
}

export class BackgroundProcess {
  /** Resolves with how it ended, such as `exit code 1`. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #firstLine: Promise<string>;
  #lastWords = '';

  constructor({ command, environment, deathSignal }: BackgroundProcessOptions) {
    const child = spawn('setpriv', ['--pdeathsig', deathSignal, '--', ...command], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child = child;
    this.#firstLine = new Promise((resolve) => {
      createInterface({ input: child.stdout }).once('line', resolve);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      this.#lastWords = (this.#lastWords + chunk.toString()).slice(-LAST_WORDS_MAX);
    });
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
  }

  /** @throws Error when it could not be started. */
  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('it does not run');
    return this.#child.pid;
  }

  /** The end of what it has said on standard error. */
  get lastWords(): string {
    return this.#lastWords.trim();
  }

  /** The first line that it prints. @throws Error when it ends before, or the time is over. */
  async firstLine(timeoutMs: number): Promise<string> {
    const ended = this.ended.then((how) => {
      throw new Error(`it ended: ${how}`);
    });
    // It may end long after this has been decided.
    ended.catch(() => undefined);
    return await Promise.race([this.#firstLine, ended, tooLate(timeoutMs)]);
  }

  /** Sends a signal and waits for the end. @throws Error when it goes on for longer than `timeoutMs`. */
  async end(name: NodeJS.Signals, timeoutMs: number): Promise<void> {
    this.#child.kill(name);
    await this.waitForEnd(timeoutMs);
  }

  /** @throws Error when it goes on for longer than `timeoutMs`. */
  async waitForEnd(timeoutMs: number): Promise<void> {
    await Promise.race([this.ended, tooLate(timeoutMs)]);
  }
}

function tooLate(timeoutMs: number): Promise<never> {
  const signal = AbortSignal.timeout(timeoutMs);
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  // The time may be over long after this has been decided.
  late.catch(() => undefined);
  return late;
}
