/**
 * The launched programs of a guest: the whole behaviour of wrenn.envd.v1.ProcessService but for
 * `Start`, whatever a program is. A guest daemon makes a table of its own way to start programs and
 * serves its methods:
 *
 *     const processes = new LaunchedProcesses(async (request) => startMyProgram(request));
 *     serve(server, ProcessServiceService, { start, ...launchedProcessHandlers(processes) }, …);
 *
 * and, before it breaks connections at the restore of a snapshot, calls
 * `processes.expectHoldersToReturn(stayingPeer)`.
 */
import type { LaunchRequest, Process, ProcessEvent } from '../../gen/ts/wrenn/envd/v1/process.js';
import { EndedProcesses } from './ended-processes.js';
import { guestFailure } from './guest-failure.js';
import { type Follower, LaunchedProcess, type StartedAt } from './launched-process.js';
import { PROCESS_LIMITS, type ProcessLimits } from './process-limits.js';
import type { LaunchedProcessState } from './process-state.js';
import type { Program, StartProgram } from './program.js';

export class LaunchedProcesses {
  readonly #startProgram: StartProgram;
  readonly #limits: ProcessLimits;
  readonly #starting = new Map<string, Promise<LaunchedProcess>>();
  /** Oldest first. */
  readonly #started = new Map<string, LaunchedProcess>();
  readonly #ended: EndedProcesses;

  constructor(startProgram: StartProgram, limits: Partial<ProcessLimits> = {}) {
    this.#startProgram = startProgram;
    this.#limits = { ...PROCESS_LIMITS, ...limits };
    this.#ended = new EndedProcesses(this.#limits, (id) => this.#started.delete(id));
  }

  /**
   * Starts a program, or finds the one of this id, and follows it from its first byte. The program
   * lives on when the stream ends, also when it ends before the program is started.
   * @throws WrennError COMMAND_NOT_FOUND, COMMAND_NOT_STARTED or OUTPUT_OUT_OF_RANGE.
   */
  async *launch(request: LaunchRequest, follower: Omit<Follower, 'offset'>) {
    const process = await this.#findOrStart(request);
    follower.signal.throwIfAborted();
    yield* process.follow({ ...follower, offset: 0 });
  }

  /** @throws WrennError PROCESS_NOT_FOUND or OUTPUT_OUT_OF_RANGE. */
  async *attach(processId: string, follower: Follower): AsyncIterable<ProcessEvent> {
    const process = await this.find(processId);
    follower.signal.throwIfAborted();
    yield* process.follow(follower);
  }

  /**
   * Finds a program, when it is being started as soon as it is.
   * @throws WrennError PROCESS_NOT_FOUND.
   */
  async find(processId: string): Promise<LaunchedProcess> {
    const starting = this.#starting.get(processId)?.catch(() => undefined);
    const process = this.#started.get(processId) ?? (await starting);
    if (!process) throw guestFailure('process_not_found');
    return process;
  }

  /** All that are known, oldest first. */
  list(): Process[] {
    return [...this.#started.values()].map((process) => process.describe());
  }

  /**
   * Says that all connections but one are about to break, and that holders may come back on new
   * ones: their programs wait for them.
   * @param stayingPeer `peer` of the one that stays.
   */
  expectHoldersToReturn(stayingPeer: string): void {
    for (const process of this.#started.values()) process.expectHolderToReturn(stayingPeer);
    // Whoever launches it has not got hold of it yet, and will not before the connection breaks.
    for (const starting of this.#starting.values()) {
      starting.then(
        (process) => process.expectHolder(),
        () => undefined,
      );
    }
  }

  /** All that is known of each program, as JSON, oldest first. */
  export(): LaunchedProcessState[] {
    return [...this.#started.values()].map((process) => process.export());
  }

  /** Takes over programs of another table; a holder that it had has time to come back. */
  import(entries: readonly { before: LaunchedProcessState; program: Program }[]): void {
    for (const { before, program } of entries) {
      const request = { ...before.request, timeoutMs: BigInt(before.request.timeoutMs) };
      const timeMs = performance.now() - before.ranMs;
      this.#add(request, program, { timeMs, wallClockMs: before.startedAtMs }, before);
    }
  }

  async #findOrStart(request: LaunchRequest): Promise<LaunchedProcess> {
    const { processId } = request;
    const known = this.#started.get(processId) ?? this.#starting.get(processId);
    if (known) return known;
    const running = this.#starting.size + this.#started.size - this.#ended.size;
    if (running >= this.#limits.runningMax) throw guestFailure('program_limit');
    const starting = this.#start(request).finally(() => this.#starting.delete(processId));
    this.#starting.set(processId, starting);
    return starting;
  }

  async #start(request: LaunchRequest): Promise<LaunchedProcess> {
    const startedAt = { timeMs: performance.now(), wallClockMs: Date.now() };
    return this.#add(request, await this.#startProgram(request), startedAt);
  }

  #add(
    request: LaunchRequest,
    program: Program,
    startedAt: StartedAt,
    before?: LaunchedProcessState,
  ): LaunchedProcess {
    const { holderReturnMs } = this.#limits;
    const process: LaunchedProcess = new LaunchedProcess(
      request,
      program,
      startedAt,
      holderReturnMs,
      () => this.#ended.add(process),
      before,
    );
    this.#started.set(request.processId, process);
    return process;
  }
}
