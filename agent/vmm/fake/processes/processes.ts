/**
 * The programs of a fake guest: those of calls, and launched ones. Launched
 * ones can be written down as JSON with their output, input and the guest's
 * time, and go on in another guest; one that cannot is killed there.
 */
import type { LaunchRequest, StartRequest } from '../../../../gen/ts/wrenn/envd/v1/process.js';
import { LaunchedProcesses } from '../../../../lib/guest/launched-processes.js';
import type { LaunchedProcessState } from '../../../../lib/guest/process-state.js';
import type { Program } from '../../../../lib/guest/program.js';
import { FakeProcess, initialState, type ProcessState, type ProgramHost } from './process.js';
import { SIGKILL } from './signals.js';
import { runStarted } from './start.js';

export interface ProcessesState {
  /** The guest's time. */
  clockMs: number;
  processes: {
    known: LaunchedProcessState;
    program: ProcessState;
    /** Whether the program's state is all that it is. */
    carried: boolean;
  }[];
}

export class FakeProcesses {
  readonly launched: LaunchedProcesses;
  readonly #host: ProgramHost;
  /** Programs of this guest by the id of their process. */
  readonly #programs = new Map<string, FakeProcess>();

  constructor(host: ProgramHost) {
    this.#host = host;
    this.launched = new LaunchedProcesses(async (request) => this.#launch(request));
  }

  start(request: StartRequest, signal: AbortSignal) {
    return runStarted(this.#host, request, signal);
  }

  /** Ends all programs, as the end of a machine does. */
  close(): void {
    for (const program of this.#programs.values()) program.signal(SIGKILL);
  }

  /** Undefined when no program has been launched. */
  export(): ProcessesState | undefined {
    const known = this.launched.export();
    this.#forgetAllBut(known.map(({ request }) => request.processId));
    const processes = known.flatMap((state) => {
      const program = this.#programs.get(state.request.processId);
      return program ? [{ known: state, ...program.export() }] : [];
    });
    if (processes.length === 0) return undefined;
    return { clockMs: this.#host.clock.nowMs, processes };
  }

  /** Makes the programs those that were exported. */
  import({ clockMs, processes }: ProcessesState): void {
    this.#host.clock.set(clockMs);
    this.launched.import(
      processes.map(({ known, program, carried }) => ({
        before: known,
        program: this.#continue(known, program, carried),
      })),
    );
  }

  async #launch(request: LaunchRequest): Promise<Program> {
    this.#forgetAllBut(this.launched.list().map(({ processId }) => processId));
    const state = initialState(this.#host, request, request.pty);
    return this.#keep(
      request.processId,
      new FakeProcess(this.#host, { ...state, inputClosed: request.closeStdin }),
    );
  }

  #continue(known: LaunchedProcessState, state: ProcessState, carried: boolean): Program {
    const program = new FakeProcess(this.#host, state);
    if (known.end || !carried) program.signal(SIGKILL);
    return this.#keep(known.request.processId, program);
  }

  #keep(processId: string, program: FakeProcess): FakeProcess {
    this.#programs.set(processId, program);
    return program;
  }

  /** Forgets ended programs that nobody can ask for any more. */
  #forgetAllBut(processIds: string[]): void {
    const known = new Set(processIds);
    for (const [id, program] of this.#programs) {
      if (program.hasEnded && !known.has(id)) this.#programs.delete(id);
    }
  }
}
