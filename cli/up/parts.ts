/** The parts of a platform as they are started: each one that runs is stopped if a later one does not start. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../lib/files/package-root.js';
import { Rollback } from '../../lib/lifecycle/rollback.js';
import { EmbeddedPostgres } from '../../lib/postgres/embedded.js';
import type { PlatformConfig } from '../config.js';
import { Daemon } from './daemon.js';
import { createFileLog } from './file-log.js';
import { LogFile } from './log-file.js';

/** Time for the orderly end of one part. */
const STOP_TIMEOUT_MS = 40_000;

/** Hears what people at the terminal should know. */
export interface PlatformReport {
  /** A part is being started. */
  starting(name: string): void;
  /** A daemon printed a line. */
  line(daemon: string, line: string): void;
  /** Something went wrong and was mended, or could not be undone. */
  trouble(message: string): void;
}

/** What runs. */
export interface Platform {
  /** Rejects when a daemon cannot be kept running; never resolves. */
  readonly failed: Promise<never>;
  /** Stops everything, in the other order; sandboxes go on. Idempotent. */
  stop(): Promise<void>;
}

/** Which daemon to start. */
export interface DaemonSpec {
  name: string;
  /** Its folder in dist/. */
  folder: string;
  /** Resolves when it takes calls. */
  probe: (stop: AbortSignal) => Promise<void>;
  /** Over the platform's environment. */
  environment?: NodeJS.ProcessEnv;
}

export class Parts implements AsyncDisposable {
  readonly #config: PlatformConfig;
  readonly #report: PlatformReport;
  readonly #signal: AbortSignal;
  readonly #rollback: Rollback;
  readonly #daemons: Daemon[] = [];

  constructor(config: PlatformConfig, report: PlatformReport, signal: AbortSignal) {
    this.#config = config;
    this.#report = report;
    this.#signal = signal;
    const failed = (step: string, cause: unknown) =>
      report.trouble(`${step} was not stopped: ${cause}`);
    this.#rollback = new Rollback(failed, STOP_TIMEOUT_MS);
  }

  /** @returns the URL by which the control plane reaches it. */
  async startDatabase(): Promise<string> {
    this.#report.starting('database');
    const postgres = await EmbeddedPostgres.start({
      directory: join(this.#config.stateDirectory, 'postgres'),
      socketDirectory: join(this.#config.runDirectory, 'postgres'),
      log: createFileLog(this.#openLog('postgres'), { component: 'postgres' }),
    });
    this.#rollback.defer('database', () => postgres.stop());
    const { connection } = postgres;
    if ('connectionString' in connection) return connection.connectionString;
    const { host, user, database } = connection;
    return `postgres://${user}@${encodeURIComponent(host)}/${database}`;
  }

  /** Starts a daemon and waits until it takes calls. */
  async startDaemon({ name, folder, probe, environment }: DaemonSpec): Promise<void> {
    this.#report.starting(name);
    const log = this.#openLog(name);
    const daemon = new Daemon({
      name,
      command: [process.execPath, join(packageRoot(), 'dist', folder, 'main.js')],
      environment: { ...this.#config.environment, ...environment },
      onLine: (line) => {
        log.append(line);
        this.#report.line(name, line);
      },
      onRestart: (message) => {
        log.append(message);
        this.#report.trouble(message);
      },
    });
    daemon.start();
    this.#rollback.defer(name, () => daemon.stop());
    this.#daemons.push(daemon);
    await this.#waitUntilReady(daemon, probe);
  }

  /** Hands everything that runs to the caller. */
  commit(): Platform {
    const owned = this.#rollback.commit();
    const failed = Promise.race(this.#daemons.map(({ gaveUp }) => gaveUp));
    // Who does not listen at that moment learns of it by the next call that fails.
    failed.catch(() => undefined);
    return {
      failed,
      stop: async () => void (await owned.undo()),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rollback.undo();
  }

  #openLog(name: string): LogFile {
    const directory = join(this.#config.stateDirectory, 'logs');
    mkdirSync(directory, { recursive: true, mode: 0o750 });
    const file = new LogFile(join(directory, `${name.replaceAll(' ', '-')}.log`));
    this.#rollback.defer(`log of ${name}`, () => file.close());
    return file;
  }

  /** Until the probe resolves, the daemon is given up, or the caller goes away. */
  async #waitUntilReady(daemon: Daemon, probe: DaemonSpec['probe']): Promise<void> {
    const over = new AbortController();
    try {
      await Promise.race([probe(AbortSignal.any([this.#signal, over.signal])), daemon.gaveUp]);
      daemon.markReady();
    } finally {
      over.abort();
    }
  }
}
