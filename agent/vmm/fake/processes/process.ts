/**
 * One program of a fake guest while it runs: it steps whenever its machine
 * runs, nobody has stopped it, and there is room for its output.
 */
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { TerminalSize } from '../../../../gen/ts/wrenn/envd/v1/process.js';
import { guestFailure } from '../../../../lib/guest/guest-failure.js';
import type {
  ProgramExit,
  ProgramOutput,
  Program as RunningProgram,
} from '../../../../lib/guest/program.js';
import { ChangeCounter } from '../../../../lib/lifecycle/change-counter.js';
import type { FakeCalls } from '../calls.js';
import type { GuestClock } from '../clock.js';
import { USERS } from '../files/files.js';
import { HeldOutput, type HeldState } from './held-output.js';
import type {
  OutputName,
  Program,
  ProgramIo,
  ProgramStart,
  ProgramState,
  Step,
} from './program.js';
import { PROGRAMS } from './programs.js';
import { endingSignal, SIGCONT, SIGKILL, SIGSTOP } from './signals.js';
import { FakeTerminal, type TerminalState } from './terminal.js';

/** Longest time that a Node timer can hold. */
const TIMER_MS_MAX = 2 ** 31 - 1;
/** Input that a pipe takes before its program reads. */
const PIPE_BYTES = 64 * 1024;
const FIRST_PID = 100;

let pids = FIRST_PID;

/** What all programs of a guest share. */
export interface ProgramHost {
  calls: FakeCalls;
  clock: GuestClock;
  hostname(): string;
  /** Variables that PostInit set. */
  env(): Record<string, string>;
  readFile(path: string): Buffer | undefined;
  isDirectory(path: string): boolean;
}

export interface ProcessRequest {
  cmd: string;
  args: string[];
  env: Record<string, string>;
  /** Empty for the user's home. */
  cwd: string;
  /** Empty for root. */
  user: string;
}

/** All that a process is between two steps, as JSON. */
export interface ProcessState {
  pid: number;
  name: string;
  start: ProgramStart;
  program: ProgramState;
  /** Input that the program has not read, in base64. */
  input: string[];
  inputClosed: boolean;
  /** Output that nobody has taken. */
  output: HeldState;
  stopped: boolean;
  /** Present when it has ended. */
  exit?: { exitCode: number; signal: string };
  terminal?: TerminalState;
}

export class FakeProcess implements RunningProgram {
  readonly exited: Promise<ProgramExit>;
  readonly #host: ProgramHost;
  readonly #program: Program;
  readonly #state: ProcessState;
  readonly #input: Buffer[];
  readonly #output: HeldOutput;
  readonly #terminal: FakeTerminal | undefined;
  readonly #killed = new AbortController();
  readonly #changes = new ChangeCounter();
  #inputBytes: number;
  #endedBy: number = SIGKILL;

  /** Lets a program go on as it was. @throws WrennError COMMAND_NOT_FOUND. */
  constructor(host: ProgramHost, state: ProcessState) {
    const program = PROGRAMS.get(state.name);
    if (!program) throw guestFailure('program_not_found');
    this.#host = host;
    this.#program = program;
    this.#state = state;
    this.#input = state.input.map((piece) => Buffer.from(piece, 'base64'));
    this.#inputBytes = this.#input.reduce((bytes, piece) => bytes + piece.length, 0);
    this.#output = new HeldOutput(state.output);
    this.#terminal = state.terminal && FakeTerminal.import(state.terminal);
    this.exited = this.#run();
  }

  get hasEnded(): boolean {
    return this.#state.exit !== undefined;
  }

  get pid(): number {
    return this.#state.pid;
  }

  get cwd(): string {
    return this.#state.start.cwd;
  }

  get output(): AsyncIterable<ProgramOutput> {
    return this.#output.take();
  }

  /** Adds to the input; on a terminal it is typed. Resolves when as much is unread as a pipe holds. */
  async write(data: Buffer): Promise<void> {
    if (this.#state.inputClosed || data.length === 0) return;
    if (this.#terminal) this.#type(this.#terminal, data);
    else this.#queue(data);
    this.#changes.bump();
    while (this.#inputBytes > PIPE_BYTES) await this.#changed(this.#killed.signal);
  }

  /** Ends the input after what has been written. Idempotent. */
  closeInput(): void {
    this.#state.inputClosed = true;
    this.#changes.bump();
  }

  /** Does what the program's default action for a signal is. */
  signal(number: number): void {
    if (number === SIGSTOP) this.#state.stopped = true;
    else if (number === SIGCONT) this.#state.stopped = false;
    else if (endingSignal(number) === undefined) return;
    else this.#end(number);
    this.#changes.bump();
  }

  /** Changes the size of the terminal, if there is one. */
  async resize(size: TerminalSize): Promise<void> {
    if (this.#terminal) this.#terminal.size = size;
  }

  /** All that it is, and whether that is enough for it to go on. */
  export(): { program: ProcessState; carried: boolean } {
    const input = this.#input.map((piece) => piece.toString('base64'));
    const output = this.#output.export();
    const terminal = this.#terminal && { terminal: this.#terminal.export() };
    return {
      program: { ...this.#state, input, output, ...terminal },
      carried: this.#program.carried,
    };
  }

  async #changed(signal: AbortSignal): Promise<void> {
    await this.#changes.after(this.#changes.count, signal);
  }

  async #run(): Promise<ProgramExit> {
    const exit = this.#state.exit ?? (await this.#stepToEnd());
    this.#state.exit = exit;
    this.#output.end();
    this.#killed.abort();
    return { ...exit, endedAt: performance.now() };
  }

  async #stepToEnd(): Promise<{ exitCode: number; signal: string }> {
    const { signal } = this.#killed;
    try {
      for (;;) {
        await setImmediate();
        await this.#mayGoOn(signal);
        const step = this.#program.step(this.#io(), this.#state.program);
        if (step.after === 'end') return { exitCode: step.exitCode, signal: '' };
        await this.#after(step, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      await this.#host.calls.pass();
      return { exitCode: 128 + this.#endedBy, signal: endingSignal(this.#endedBy) ?? '' };
    }
  }

  /** Resolves when nothing keeps the program from its next step. */
  async #mayGoOn(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#host.calls.frozen) await this.#host.calls.pass();
      else if (this.#state.stopped) await this.#changed(signal);
      else if (!this.#output.isEmpty) await this.#output.emptied(signal);
      else return;
    }
  }

  async #after(step: Step, signal: AbortSignal): Promise<void> {
    if (step.after === 'input') await this.#changed(signal);
    if (step.after !== 'time') return;
    const waitMs = Math.max(0, step.atMs - this.#host.clock.nowMs);
    // The guest's time stands still at times: after the timer the program looks again.
    await setTimeout(Math.min(Math.ceil(waitMs), TIMER_MS_MAX), undefined, { signal });
  }

  #io(): ProgramIo {
    const { start, inputClosed } = this.#state;
    return {
      ...start,
      hostname: this.#host.hostname(),
      nowMs: this.#host.clock.nowMs,
      terminal: this.#terminal?.size,
      readFile: (path) => this.#host.readFile(path),
      read: (bytesMax) => this.#read(bytesMax),
      inputEnded: () => this.#input.length === 0 && inputClosed,
      write: (data, output = 'stdout') => this.#append(data, output),
    };
  }

  #read(bytesMax = Number.POSITIVE_INFINITY): Buffer | undefined {
    const piece = this.#input.shift();
    if (!piece) return undefined;
    if (piece.length > bytesMax) this.#input.unshift(piece.subarray(bytesMax));
    const data = piece.subarray(0, bytesMax);
    this.#inputBytes -= data.length;
    this.#changes.bump();
    return data;
  }

  #queue(data: Buffer): void {
    this.#input.push(data);
    this.#inputBytes += data.length;
  }

  #append(data: Buffer, stream: OutputName): void {
    if (this.#terminal) this.#output.put({ stream: 'pty', data: this.#terminal.output(data) });
    else this.#output.put({ stream, data });
  }

  #type(terminal: FakeTerminal, data: Buffer): void {
    const { echo, lines, signals } = terminal.type(data);
    if (echo.length > 0) this.#output.putIfRoom({ stream: 'pty', data: echo });
    for (const line of lines) {
      if (line.length === 0) this.#state.inputClosed = true;
      else this.#queue(line);
    }
    for (const number of signals) this.signal(number);
  }

  #end(number: number): void {
    if (this.#killed.signal.aborted) return;
    this.#endedBy = number;
    this.#killed.abort();
  }
}

/** A program that begins. @throws WrennError COMMAND_NOT_FOUND, COMMAND_NOT_STARTED. */
export function initialState(
  host: ProgramHost,
  request: ProcessRequest,
  size?: TerminalSize,
): ProcessState {
  const user = request.user || 'root';
  if (!USERS.has(user)) throw guestFailure('program_user_unknown');
  const name = request.cmd.replace(/^\/(usr\/)?bin\//, '');
  if (!PROGRAMS.has(name)) throw guestFailure('program_not_found');
  if (request.cwd !== '' && !host.isDirectory(request.cwd)) throw guestFailure('program_cwd');
  const home = user === 'root' ? '/root' : '/';
  const env = {
    HOME: home,
    USER: user,
    PATH: '/usr/bin:/bin',
    ...(size ? { TERM: 'xterm-256color' } : {}),
    ...host.env(),
    ...request.env,
  };
  pids += 1;
  return {
    pid: pids,
    name,
    start: { args: request.args, env, cwd: request.cwd || home, user },
    program: {},
    input: [],
    inputClosed: false,
    output: [],
    stopped: false,
    ...(size ? { terminal: { size, line: '' } } : {}),
  };
}
