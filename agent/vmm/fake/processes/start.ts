/** ProcessService.Start of a fake guest: a program that lives as long as its call. */
import type { StartRequest, StartResponse } from '../../../../gen/ts/wrenn/envd/v1/process.js';
import { callAfter } from '../../../../lib/guest/deadline.js';
import { FakeProcess, initialState, type ProgramHost } from './process.js';
import { SIGKILL } from './signals.js';

/** @param signal aborts when the caller goes away; the program is killed then. */
export async function* runStarted(
  host: ProgramHost,
  request: StartRequest,
  signal: AbortSignal,
): AsyncGenerator<StartResponse, void, void> {
  const startedAt = performance.now();
  const program = new FakeProcess(host, initialState(host, request));
  const watch = new Watch(program, request.timeoutMs, signal);
  try {
    void program.write(request.stdin).catch(() => undefined);
    program.closeInput();
    yield { event: { $case: 'started', value: { pid: program.pid } } };
    for await (const { stream, data } of program.output) {
      // Only launched programs have a terminal.
      const $case = stream === 'stderr' ? 'stderr' : 'stdout';
      yield { event: { $case, value: Buffer.from(data) } };
    }
    const { exitCode, signal: endedBy, endedAt } = await program.exited;
    const durationMs = endedAt - startedAt;
    const value = { exitCode, signal: endedBy, timedOut: watch.timedOut, durationMs };
    yield { event: { $case: 'exited', value } };
  } finally {
    watch.end();
  }
}

/** Kills a program when its caller goes away or its time is over. */
class Watch {
  readonly #signal: AbortSignal;
  readonly #kill: () => void;
  readonly #stopTimer: () => void = () => undefined;
  timedOut = false;

  constructor(program: FakeProcess, timeoutMs: number, signal: AbortSignal) {
    this.#signal = signal;
    this.#kill = () => program.signal(SIGKILL);
    signal.addEventListener('abort', this.#kill, { once: true });
    if (signal.aborted) this.#kill();
    const expire = () => {
      this.timedOut = true;
      this.#kill();
    };
    if (timeoutMs > 0) this.#stopTimer = callAfter(timeoutMs, expire);
  }

  end(): void {
    this.#stopTimer();
    this.#signal.removeEventListener('abort', this.#kill);
    this.#kill();
  }
}
