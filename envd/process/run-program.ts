/** One program from its start to its end, as the events of ProcessService.Start. */
import type { StartRequest, StartResponse } from '../../gen/ts/wrenn/envd/v1/process.js';
import { WrennError } from '../../lib/errors/index.js';
import { guestFailure } from '../../lib/guest/guest-failure.js';
import { type Child, startChild } from './child.js';
import { type Command, toCommand } from './command.js';
import { drainOutput } from './drain-output.js';
import type { Environment } from './environment.js';
import type { Output } from './output.js';
import { openStdio, type Stdio, type StdioSource } from './stdio.js';

/** Longest time that a Node timer can hold. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

export interface Programs extends StdioSource {
  busyboxPath: string;
  /** Static wrenn-guest. */
  helperPath: string;
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
  const command = await toCommand(request, programs.sandboxEnvironment());
  signal.throwIfAborted();
  const startedAt = performance.now();
  const { child, output } = await start(programs, command, request.stdin);

  const watch = new Watch(child, request.timeoutMs, signal);
  try {
    yield { event: { $case: 'started', value: { pid: child.pid } } };
    for await (const { stream, data } of drainOutput(child, output)) {
      yield { event: { $case: stream, value: data } };
    }
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
