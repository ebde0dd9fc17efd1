/**
 * The agent's client of one sandbox's guest daemon. The guest is hostile: it may
 * be silent, endless, or lie, and none of it may harm the agent or pass
 * unchecked to a caller.
 */
import type { PostInitRequest } from '../../gen/ts/wrenn/envd/v1/guest.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import type { Log } from '../../lib/log/log.js';
import { CommandEvents, type CommandResult, STREAM_BYTES_MAX } from './command-result.js';
import { GuestCalls } from './guest-calls.js';
import { contractBroken, guestUnreachable, restoreFailed } from './guest-error.js';
import { GuestFiles } from './guest-files.js';
import { GuestProcesses } from './guest-processes.js';
import { checkSteps, type GuestStep } from './guest-steps.js';
import { untilReady } from './readiness.js';

/** Time limit of PostInit and PostRestore; a busy emulated guest gets it. */
export const POST_INIT_TIMEOUT_MS = 30_000;
/** Time limit of a call about a file; and for a guest to take, or send, a piece of one. */
export const FILE_TIMEOUT_MS = 60_000;
/** Time limit of a call about a program. */
export const PROCESS_TIMEOUT_MS = 30_000;
/** Time beyond a command's own limit after which the guest is given up. */
export const EXEC_SLACK_MS = 10_000;

const NS_PER_MS = 1_000_000n;

export interface GuestLimits {
  postInitTimeoutMs: number;
  fileTimeoutMs: number;
  processTimeoutMs: number;
  execSlackMs: number;
  streamBytesMax: number;
}

const LIMITS: GuestLimits = {
  postInitTimeoutMs: POST_INIT_TIMEOUT_MS,
  fileTimeoutMs: FILE_TIMEOUT_MS,
  processTimeoutMs: PROCESS_TIMEOUT_MS,
  execSlackMs: EXEC_SLACK_MS,
  streamBytesMax: STREAM_BYTES_MAX,
};

export interface GuestClientOptions {
  /** gRPC target of the daemon, such as `10.192.0.3:49983` or `unix:/run/…`. */
  target: string;
  /** Token of the sandbox; PostInit puts it in force. */
  token: string;
  log: Log;
  /** Limits that differ from the usual ones. */
  limits?: Partial<GuestLimits>;
}

export interface GuestIdentity {
  sandboxId: string;
  templateId: string;
  /** Environment variables of every program. */
  env: Record<string, string>;
}

export interface GuestRestore {
  identity: GuestIdentity;
  /** Token that was in force when the snapshot was taken; empty when there was none. */
  oldToken: string;
  /** Whether the variables stay as they are. */
  keepEnv: boolean;
  /** Whether the guest is a copy, which gets a machine id and a hostname of its own. */
  clone: boolean;
  /** 32 to 512 random bytes for the kernel, never used before. */
  entropy: Buffer;
  /** Machine id of a clone, 32 hexadecimal digits; empty otherwise. */
  machineId: string;
}

export interface GuestCommand {
  cmd: string;
  args: string[];
  /** Seconds after which the program is killed. */
  timeoutSec: number;
  env: Record<string, string>;
  /** Empty for the user's home. */
  cwd: string;
  /** Empty for root. */
  user: string;
  stdin: Buffer;
}

export interface GuestFileWrite {
  path: string;
  content: Buffer;
  /** Owner of a new file; empty for root. */
  user: string;
  /** Permission bits; 0 keeps a file's own. */
  mode: number;
}

export interface GuestFileRead {
  path: string;
  sizeBytesMax: number;
}

export class GuestClient {
  /** Programs that outlive a call. */
  readonly processes: GuestProcesses;
  /** Files of any size, and folders. */
  readonly files: GuestFiles;
  readonly #target: string;
  readonly #calls: GuestCalls;
  readonly #log: Log;
  readonly #limits: GuestLimits;

  /** Does not connect yet. */
  constructor({ target, token, log, limits }: GuestClientOptions) {
    this.#target = target;
    this.#calls = new GuestCalls(target, token);
    this.#log = log;
    this.#limits = { ...LIMITS, ...limits };
    this.processes = new GuestProcesses(this.#calls, this.#limits);
    this.files = new GuestFiles(this.#calls, this.#limits);
  }

  /**
   * Waits until the daemon answers.
   * @returns what the daemon says its version is: at most 64 printable characters.
   * @throws WrennError GUEST_UNREACHABLE when it does not in time; the signal's reason when that aborts.
   */
  async waitUntilReady(timeoutMs: number, signal: AbortSignal): Promise<{ version: string }> {
    this.#calls.disconnect();
    const { connection, version } = await untilReady(this.#target, timeoutMs, signal, (error) =>
      // Every guest that boots fails some tries: a stack for each would bury the log.
      this.#log.debug('guest daemon does not answer yet', { reason: messageOf(error) }),
    );
    this.#calls.use(connection);
    return { version };
  }

  /**
   * Makes the guest the sandbox: token, name, variables, clock.
   * @throws WrennError GUEST_UNREACHABLE, naming the step that failed.
   */
  async postInit(identity: GuestIdentity, signal: AbortSignal): Promise<void> {
    const request = this.#identityNow(identity);
    const { steps } = await this.#calls.call(signal, ({ guest }) =>
      guest.postInit(request, this.#calls.options(this.#limits.postInitTimeoutMs, signal)),
    );
    checkSteps(steps, (step, cause) =>
      guestUnreachable(`the guest could not be initialized: step ${step} failed`, cause, { step }),
    );
  }

  /**
   * Makes a guest that was restored from a snapshot a sandbox again: clock, randomness, identity.
   * The call carries the old token; every later one carries this client's.
   * @returns the steps that the guest has done.
   * @throws WrennError RESTORE_FAILED, naming the step that failed, and GUEST_UNREACHABLE when the
   * guest does not answer. The guest is then in no state to be used.
   */
  async postRestore(restore: GuestRestore, signal: AbortSignal): Promise<GuestStep[]> {
    const { identity, oldToken, ...others } = restore;
    const options = this.#calls.options(this.#limits.postInitTimeoutMs, signal, oldToken);
    const { steps } = await this.#calls.call(signal, ({ guest }) =>
      guest
        .postRestore({ ...others, identity: this.#identityNow(identity) }, options)
        .catch(throwIfUnimplemented),
    );
    return checkSteps(steps, (step, cause) =>
      restoreFailed(`the guest could not be restored: step ${step} failed`, step, cause),
    );
  }

  /**
   * Runs a program to its end.
   * @returns what it printed, the first 1,000,000 bytes of each output, and how it ended.
   * @throws WrennError COMMAND_TIMEOUT, COMMAND_NOT_FOUND, COMMAND_NOT_STARTED or GUEST_UNREACHABLE.
   */
  async exec(command: GuestCommand, signal: AbortSignal): Promise<CommandResult> {
    const { cmd, args, env, cwd, user, stdin, timeoutSec } = command;
    const timeoutMs = timeoutSec * 1_000;
    const events = new CommandEvents(this.#limits.streamBytesMax);
    await this.#calls.call(signal, async ({ processes }) => {
      const request = { cmd, args, env, cwd, user, stdin, timeoutMs };
      const options = this.#calls.options(timeoutMs + this.#limits.execSlackMs, signal);
      for await (const event of processes.start(request, options)) events.add(event);
    });
    const result = events.result();
    if (events.timedOut) throw commandTimeout(timeoutSec);
    return result;
  }

  /**
   * Writes a whole file.
   * @throws WrennError FILE_NOT_USABLE, GUEST_DISK_FULL or GUEST_UNREACHABLE.
   */
  async writeFile(file: GuestFileWrite, signal: AbortSignal): Promise<{ sizeBytes: number }> {
    const { path, content, user, mode } = file;
    await this.#calls.call(signal, ({ files }) =>
      files.writeFile(
        { path, content, user, mode },
        this.#calls.options(this.#limits.fileTimeoutMs, signal),
      ),
    );
    return { sizeBytes: content.length };
  }

  /**
   * Reads a whole file.
   * @throws WrennError FILE_NOT_FOUND, FILE_NOT_USABLE, FILE_TOO_LARGE or GUEST_UNREACHABLE.
   */
  async readFile(file: GuestFileRead, signal: AbortSignal): Promise<{ content: Buffer }> {
    const { path, sizeBytesMax } = file;
    const { content } = await this.#calls.call(signal, ({ files }) =>
      files.readFile(
        { path, sizeBytesMax },
        this.#calls.options(this.#limits.fileTimeoutMs, signal),
      ),
    );
    if (content.length > sizeBytesMax) throw contractBroken('a file above the size asked for');
    return { content };
  }

  /** Ends the connections and all calls on them. Idempotent. */
  close(): void {
    this.#calls.close();
  }

  #identityNow(identity: GuestIdentity): PostInitRequest {
    return { ...identity, token: this.#calls.token, wallClockNs: BigInt(Date.now()) * NS_PER_MS };
  }
}

function throwIfUnimplemented(error: unknown): never {
  if (WrennError.from(error).code !== Code.UNIMPLEMENTED) throw error;
  throw restoreFailed("the snapshot's guest daemon is too old to be restored", 'post_restore');
}

function commandTimeout(timeoutSec: number): WrennError {
  return new WrennError(
    Code.DEADLINE_EXCEEDED,
    'COMMAND_TIMEOUT',
    `the program ran longer than ${timeoutSec} s and was killed`,
    { metadata: { timeout_sec: String(timeoutSec) } },
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
