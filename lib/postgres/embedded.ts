/**
 * A Postgres of our own: started as a child on a Unix socket that only its
 * owner can open, started again when it dies, and ended with this process
 * whatever ends that.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { Code, WrennError } from '../errors/index.js';
import { type Claim, claimDirectory } from '../lifecycle/claim.js';
import { delay, retry } from '../lifecycle/delay.js';
import type { Log } from '../log/log.js';
import { locateBinaries, type PostgresBinaries } from './binaries.js';
import { dyingWithParent, withoutRoot } from './confine.js';
import type { PostgresConnection } from './connection.js';
import {
  dataDirectoryIn,
  initializeDataDirectory,
  POSTGRES_DATABASE,
  POSTGRES_USER,
} from './data-directory.js';
import { endLeftovers } from './leftovers.js';

/** Time until the server takes connections; it may have to replay its log after a crash. */
export const READY_TIMEOUT_MS = 60_000;
/** Time that a fast shutdown gets, and then an immediate one, before SIGKILL. */
export const FAST_STOP_TIMEOUT_MS = 20_000;
export const IMMEDIATE_STOP_TIMEOUT_MS = 5000;

const PROBE_PAUSE_MS = 25;
const PROBE_PAUSE_MS_MAX = 250;
const PROBE_TIMEOUT_MS = 5000;
const RESTART_PAUSE_MS = 200;
const RESTART_PAUSE_MS_MAX = 5000;
/** Lines of the server's output that stand in the error of a failed start. */
const LINES_KEPT_MAX = 10;
/** The port is only a part of the socket's name. */
const PORT = 5432;
/** Longest path that a Unix socket address holds. */
const SOCKET_PATH_BYTES_MAX = 107;
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: '100',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // A row that breaks a constraint would stand in the log with all its values.
  log_error_verbosity: 'terse',
};

export interface EmbeddedPostgresOptions {
  /** Folder for data; made when it is not there. */
  directory: string;
  /** Folder for the socket; made when it is not there. */
  socketDirectory: string;
  log: Log;
  /** Settings over our own, such as `{ fsync: 'off' }` for tests. */
  settings?: Record<string, string>;
}

export class EmbeddedPostgres {
  readonly connection: PostgresConnection;
  readonly #options: EmbeddedPostgresOptions;
  readonly #binaries: PostgresBinaries;
  readonly #claim: Claim;
  #child: ChildProcess | undefined;
  readonly #stopping = new AbortController();

  private constructor(options: EmbeddedPostgresOptions, binaries: PostgresBinaries, claim: Claim) {
    this.#options = options;
    this.#binaries = binaries;
    this.#claim = claim;
    this.connection = {
      host: options.socketDirectory,
      port: PORT,
      user: POSTGRES_USER,
      database: POSTGRES_DATABASE,
    };
  }

  /**
   * Starts the server, with a new data folder at the first time.
   * @throws WrennError when the machine lacks something, another process runs
   *   it, or it does not get ready.
   */
  static async start(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
    checkSocketPath(options.socketDirectory);
    const binaries = await locateBinaries();
    await mkdir(options.directory, { recursive: true, mode: 0o700 });
    await mkdir(options.socketDirectory, { recursive: true, mode: 0o700 });
    const claim = await claimDirectory('database', options.directory);
    try {
      await endLeftovers(dataDirectoryIn(options.directory), options.socketDirectory);
      await initializeDataDirectory(options.directory, binaries);
      const server = new EmbeddedPostgres(options, binaries, claim);
      await server.#launch();
      return server;
    } catch (error) {
      await claim.release();
      throw error;
    }
  }

  /** Process id of the server, or undefined while there is none. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Lets this process end while the server runs; the server ends then too. */
  unref(): void {
    this.#child?.unref();
    (this.#child?.stderr as { unref?: () => void } | undefined)?.unref?.();
  }

  /** Stops the server: fast, else immediately, else by SIGKILL. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    if (child) {
      await endChild(child, 'SIGINT', FAST_STOP_TIMEOUT_MS);
      await endChild(child, 'SIGQUIT', IMMEDIATE_STOP_TIMEOUT_MS);
      await endChild(child, 'SIGKILL', IMMEDIATE_STOP_TIMEOUT_MS);
    }
    await this.#claim.release();
  }

  async #launch(): Promise<void> {
    const child = this.#spawn();
    this.#child = child;
    const lines = keepLines(child, this.#options.log);
    const ended = new AbortController();
    const end = (cause?: Error) => ended.abort(notStarted(cause ?? new Error(lines.join('\n'))));
    child.once('error', end);
    child.once('exit', () => end());
    try {
      await this.#waitUntilReady(ended.signal);
    } catch (error) {
      await endChild(child, 'SIGKILL', IMMEDIATE_STOP_TIMEOUT_MS);
      throw error;
    }
    child.once('exit', () => void this.#restart());
    // It may have died between its first answer and the line above.
    if (ended.signal.aborted) void this.#restart();
  }

  #spawn(): ChildProcess {
    const { directory, socketDirectory, settings } = this.#options;
    const values = { ...SETTINGS, ...settings };
    const [command, ...args] = withoutRoot(
      dyingWithParent(
        [
          this.#binaries.postgres,
          ...['-D', dataDirectoryIn(directory), '-k', socketDirectory],
          ...Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
        ],
        'INT',
      ),
    );
    return spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { LC_ALL: 'C' },
      // A session of its own, so that Ctrl-C reaches us first and not the server.
      detached: true,
    });
  }

  async #waitUntilReady(ended: AbortSignal): Promise<void> {
    try {
      await retry(() => this.#probe(), {
        timeoutMs: READY_TIMEOUT_MS,
        pauseMs: PROBE_PAUSE_MS,
        pauseMsMax: PROBE_PAUSE_MS_MAX,
        signal: ended,
      });
    } catch (error) {
      throw error instanceof WrennError ? error : notStarted(error);
    }
  }

  async #probe(): Promise<void> {
    const client = new pg.Client({
      ...this.connection,
      connectionTimeoutMillis: PROBE_TIMEOUT_MS,
      query_timeout: PROBE_TIMEOUT_MS,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('select 1');
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async #restart(): Promise<void> {
    const { signal } = this.#stopping;
    const { directory, socketDirectory } = this.#options;
    let pauseMs = RESTART_PAUSE_MS;
    while (!signal.aborted) {
      this.#options.log.error('embedded postgres ended, starting it again');
      try {
        await delay(pauseMs, signal);
        await endLeftovers(dataDirectoryIn(directory), socketDirectory);
        if (!signal.aborted) await this.#launch();
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#options.log.error('embedded postgres not started', { error });
        pauseMs = Math.min(pauseMs * 2, RESTART_PAUSE_MS_MAX);
      }
    }
  }
}

/** Sends what the server prints to the log, and keeps its last lines for the error of a failed start. */
function keepLines(child: ChildProcess, log: Log): string[] {
  const kept: string[] = [];
  if (!child.stderr) return kept;
  createInterface({ input: child.stderr }).on('line', (line) => {
    kept.push(line);
    if (kept.length > LINES_KEPT_MAX) kept.shift();
    if (/\bPANIC:/.test(line)) log.error('postgres says', { line });
    else log.debug('postgres says', { line });
  });
  return kept;
}

async function endChild(
  child: ChildProcess,
  signal: NodeJS.Signals,
  timeoutMs: number,
): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  const timeout = new AbortController();
  await Promise.race([exited, delay(timeoutMs, timeout.signal).catch(() => undefined)]);
  timeout.abort();
}

function checkSocketPath(socketDirectory: string): void {
  const path = join(socketDirectory, `.s.PGSQL.${PORT}`);
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return;
  throw new WrennError(
    Code.INVALID_ARGUMENT,
    'HOST_REQUIREMENT',
    `${socketDirectory} is too long for a socket; set WRENN_RUN_DIR to a shorter path`,
  );
}

function notStarted(cause: unknown): WrennError {
  return new WrennError(
    Code.UNAVAILABLE,
    'DATABASE_UNAVAILABLE',
    'the embedded Postgres did not start; the log says why',
    { cause },
  );
}
