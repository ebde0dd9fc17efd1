/**
 * One of our daemons as a child: it has a session of its own, so that Ctrl-C
 * reaches the supervisor alone; the kernel kills it when the supervisor dies;
 * and it is started again when it ends by itself.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { delay } from '../../lib/lifecycle/delay.js';
import { CliError } from '../failure.js';
import { FIRST_START_LIMITS, RESTART_LIMITS, RestartPolicy } from './restart-policy.js';

/** Time that a daemon gets to end after SIGTERM before SIGKILL. */
const STOP_TIMEOUT_MS = 20_000;
/** Lines kept for the message when it is given up. */
const LINES_KEPT_MAX = 5;

export interface DaemonOptions {
  /** For people, such as `agent`. */
  name: string;
  /** The program and its arguments. */
  command: readonly [string, ...string[]];
  environment: NodeJS.ProcessEnv;
  /** Gets each line that it prints. */
  onLine: (line: string) => void;
  /** Hears of each restart. */
  onRestart: (message: string) => void;
}

export class Daemon {
  /** Rejects when it has ended too often; never resolves. */
  readonly gaveUp: Promise<never>;
  readonly #options: DaemonOptions;
  readonly #policy = new RestartPolicy(FIRST_START_LIMITS);
  readonly #stopping = new AbortController();
  readonly #lastWords: string[] = [];
  #child: ChildProcess | undefined;
  #giveUp: (error: Error) => void = () => undefined;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.gaveUp = new Promise((_, reject) => {
      this.#giveUp = reject;
    });
    this.gaveUp.catch(() => undefined);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const [command, ...args] = ['setpriv', '--pdeathsig', 'KILL', '--', ...this.#options.command];
    const child = spawn(command ?? '', args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: this.#options.environment,
      detached: true,
    });
    this.#child = child;
    this.#readLines(child.stdout);
    this.#readLines(child.stderr);
    child.once('error', (error) => this.#giveUp(error));
    child.once('close', (code, signal) => void this.#ended(signal ?? `exit code ${code}`));
  }

  /** From now on it is restarted with more patience. */
  markReady(): void {
    this.#policy.reset(RESTART_LIMITS);
  }

  /** Ends it: politely, then by SIGKILL. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGTERM');
    const patience = new AbortController();
    const impatient = delay(STOP_TIMEOUT_MS, patience.signal).then(
      () => child.kill('SIGKILL'),
      () => undefined,
    );
    await closed;
    patience.abort();
    await impatient;
  }

  #readLines(stream: Readable): void {
    createInterface({ input: stream }).on('line', (line) => {
      this.#remember(line);
      this.#options.onLine(line);
    });
  }

  /** What is not logged but said is for people; a restart says the same again. */
  #remember(line: string): void {
    if (line.startsWith('{') || this.#lastWords.includes(line)) return;
    this.#lastWords.push(line);
    if (this.#lastWords.length > LINES_KEPT_MAX) this.#lastWords.shift();
  }

  async #ended(how: string): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const { name, onRestart } = this.#options;
    const pauseMs = this.#policy.ended(performance.now());
    if (pauseMs === undefined) {
      const lastWords = this.#lastWords.join('\n');
      this.#giveUp(
        new CliError(`the ${name} keeps ending (${how}); its last words:\n${lastWords}`),
      );
      return;
    }
    onRestart(`the ${name} ended (${how}); starting it again`);
    // Stopping interrupts the pause; the daemon then stays down.
    await delay(pauseMs, this.#stopping.signal).then(
      () => this.start(),
      () => undefined,
    );
  }
}
