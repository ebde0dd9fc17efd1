/** Programs of a guest that outlive a call: starting, following, feeding and signalling them. */
import type { Process, TerminalSize } from '../../gen/ts/wrenn/envd/v1/process.js';
import type { ClientCallOptions } from '../../lib/rpc/client.js';
import type { GuestCalls } from './guest-calls.js';
import type { GuestConnection } from './guest-connection.js';
import { contractBroken } from './guest-error.js';
import {
  checkExit,
  checkProcessEvents,
  type GuestExit,
  type GuestProcessEvent,
  toOffset,
} from './process-events.js';

/** More than a guest daemon runs and keeps. */
const PROCESSES_MAX = 1024;
const PROCESS_ID = /^[a-z0-9]{1,64}$/;
/** Characters of each text of a listed process, more than it can have been started with. */
const TEXT_LENGTH_MAX = 8192;
const ARGS_MAX = 1024;

export interface GuestLaunch {
  processId: string;
  cmd: string;
  args: string[];
  env: Record<string, string>;
  /** Empty for the user's home. */
  cwd: string;
  /** Empty for root. */
  user: string;
  /** 0 for no limit. */
  timeoutMs: number;
  pty: TerminalSize | undefined;
  closeStdin: boolean;
  /** Whom the program waits for; empty for nobody. */
  holderId: string;
}

export interface GuestAttach {
  processId: string;
  /** Offset of the first byte; undefined for the first that is kept. */
  offset: number | undefined;
  holderId: string;
}

export interface GuestInput {
  processId: string;
  input: Buffer;
  writerId: string;
  /** Number of the piece, from 1. */
  sequence: number;
}

export interface GuestProcess {
  processId: string;
  pid: number;
  cmd: string;
  args: string[];
  user: string;
  cwd: string;
  pty: boolean;
  startedAtMs: number;
  exit: GuestExit | undefined;
  firstOffset: number;
  nextOffset: number;
}

export interface GuestProcessLimits {
  processTimeoutMs: number;
}

export class GuestProcesses {
  readonly #calls: GuestCalls;
  readonly #limits: GuestProcessLimits;

  constructor(calls: GuestCalls, limits: GuestProcessLimits) {
    this.#calls = calls;
    this.#limits = limits;
  }

  /**
   * Starts a program and follows it from its first byte; it lives on when that ends early. One that
   * was started under this id already is followed only.
   * @throws WrennError COMMAND_NOT_FOUND, COMMAND_NOT_STARTED, OUTPUT_OUT_OF_RANGE, GUEST_TOO_OLD,
   *   GUEST_UNREACHABLE
   */
  launch(program: GuestLaunch, signal: AbortSignal): AsyncIterable<GuestProcessEvent> {
    const request = { ...program, timeoutMs: BigInt(program.timeoutMs) };
    return this.#calls.stream(signal, ({ processes }) =>
      checkProcessEvents(
        processes.launch(request, this.#calls.options(Number.POSITIVE_INFINITY, signal)),
        0,
      ),
    );
  }

  /**
   * Follows a program from an offset to its end.
   * @throws WrennError PROCESS_NOT_FOUND, OUTPUT_OUT_OF_RANGE, GUEST_TOO_OLD, GUEST_UNREACHABLE
   */
  attach(target: GuestAttach, signal: AbortSignal): AsyncIterable<GuestProcessEvent> {
    const { processId, holderId, offset } = target;
    const request = {
      ...{ processId, holderId },
      offset: offset === undefined ? undefined : BigInt(offset),
    };
    return this.#calls.stream(signal, ({ processes }) =>
      checkProcessEvents(
        processes.attach(request, this.#calls.options(Number.POSITIVE_INFINITY, signal)),
        offset,
      ),
    );
  }

  /** The programs that were launched, oldest first. @throws WrennError */
  async list(signal: AbortSignal): Promise<GuestProcess[]> {
    const { processes: listed } = await this.#call(signal, ({ processes }, options) =>
      processes.listProcesses({}, options),
    );
    if (listed.length > PROCESSES_MAX) throw contractBroken('more processes than a guest has');
    const checked = listed.map(checkProcess);
    if (new Set(checked.map(({ processId }) => processId)).size < checked.length) {
      throw contractBroken('two processes of one id');
    }
    return checked;
  }

  /** @param number of the signal. @throws WrennError PROCESS_NOT_FOUND, PROCESS_STATE */
  async sendSignal(processId: string, number: number, signal: AbortSignal): Promise<void> {
    await this.#call(signal, ({ processes }, options) =>
      processes.sendSignal({ processId, signal: number }, options),
    );
  }

  /** Waits while the program's queue is full, for as long as it takes. @throws WrennError PROCESS_NOT_FOUND, PROCESS_STATE */
  async sendInput(input: GuestInput, signal: AbortSignal): Promise<void> {
    const request = { ...input, sequence: BigInt(input.sequence) };
    const options = this.#calls.options(Number.POSITIVE_INFINITY, signal);
    await this.#calls.upload(signal, ({ processes }) => processes.sendInput(request, options));
  }

  /** @throws WrennError PROCESS_NOT_FOUND */
  async closeStdin(processId: string, signal: AbortSignal): Promise<void> {
    await this.#call(signal, ({ processes }, options) =>
      processes.closeStdin({ processId }, options),
    );
  }

  /** @throws WrennError PROCESS_NOT_FOUND, PROCESS_STATE when it has no terminal. */
  async resize(processId: string, size: TerminalSize, signal: AbortSignal): Promise<void> {
    await this.#call(signal, ({ processes }, options) =>
      processes.resize({ processId, size }, options),
    );
  }

  #call<T>(
    signal: AbortSignal,
    call: (connection: GuestConnection, options: ClientCallOptions) => Promise<T>,
  ): Promise<T> {
    const options = this.#calls.options(this.#limits.processTimeoutMs, signal);
    return this.#calls.call(signal, (connection) => call(connection, options));
  }
}

function checkProcess(listed: Process): GuestProcess {
  const { processId, pid, cmd, args, user, cwd, pty } = listed;
  if (!PROCESS_ID.test(processId)) throw contractBroken('a process id that no host gave');
  const length = args.reduce((sum, argument) => sum + argument.length, cmd.length);
  if (args.length > ARGS_MAX || length + user.length + cwd.length > TEXT_LENGTH_MAX * 2) {
    throw contractBroken('a process with more text than one has');
  }
  const firstOffset = toOffset(listed.firstOffset);
  const nextOffset = toOffset(listed.nextOffset);
  if (firstOffset > nextOffset) throw contractBroken('output that ends before it begins');
  return {
    ...{ processId, pid, cmd, args, user, cwd, pty, firstOffset, nextOffset },
    startedAtMs: Number(listed.startedAtNs / 1_000_000n),
    exit: listed.exited ? checkExit(listed.exited) : undefined,
  };
}
