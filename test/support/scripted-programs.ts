/**
 * A table of launched programs that do what a test says, and the streams of their events.
 */
import {
  LaunchRequest,
  type ProcessEvent,
  type ProcessEvent_Exited,
} from '../../gen/ts/wrenn/envd/v1/process.js';
import { guestFailure } from '../../lib/guest/guest-failure.js';
import { LaunchedProcesses } from '../../lib/guest/launched-processes.js';
import type { ProcessLimits } from '../../lib/guest/process-limits.js';
import type { Program, ProgramOutput } from '../../lib/guest/program.js';

const never = new AbortController().signal;

/** A program whose output the test writes. */
export class ScriptedProgram implements Program {
  readonly pid = 42;
  readonly cwd = '/work';
  readonly output: AsyncIterable<ProgramOutput> = this.#print();
  readonly exited: Program['exited'];
  readonly signals: number[] = [];
  readonly written: string[] = [];
  readonly sizes: string[] = [];
  inputEnds = 0;
  takenBytes = 0;
  readonly #unread: (() => void)[] = [];
  #pieces: ProgramOutput[] = [];
  #wake: () => void = () => undefined;
  #ended = false;
  #exit: (exit: Awaited<Program['exited']>) => void = () => undefined;

  constructor() {
    this.exited = new Promise((resolve) => {
      this.#exit = resolve;
    });
  }

  print(text: string | Buffer, stream: ProgramOutput['stream'] = 'stdout'): void {
    this.#pieces.push({ stream, data: Buffer.from(text) });
    this.#wake();
  }

  exit(exitCode = 0): void {
    this.#ended = true;
    this.#exit({ exitCode, signal: '', endedAt: performance.now() });
    this.#wake();
  }

  write(input: Buffer): Promise<void> {
    return new Promise((resolve) => {
      this.#unread.push(() => {
        this.written.push(input.toString());
        resolve();
      });
    });
  }

  /** Reads all that waits in the input; the program reads nothing until it is called. */
  readInput(): void {
    for (const read of this.#unread.splice(0)) read();
  }

  closeInput(): void {
    this.inputEnds += 1;
  }

  async resize({ cols, rows }: { cols: number; rows: number }): Promise<void> {
    this.sizes.push(`${cols}x${rows}`);
  }

  signal(number: number): void {
    this.signals.push(number);
    if (number === 9) this.exit(137);
  }

  async *#print(): AsyncIterable<ProgramOutput> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece) {
        this.takenBytes += piece.data.length;
        yield piece;
      } else if (this.#ended) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

/** Programs of any name start, but for `missing`. */
export class ScriptedTable {
  readonly programs: ScriptedProgram[] = [];
  readonly processes: LaunchedProcesses;

  constructor(limits: Partial<ProcessLimits> = {}) {
    this.processes = new LaunchedProcesses(async ({ cmd }) => {
      if (cmd === 'missing') throw guestFailure('program_not_found');
      const program = new ScriptedProgram();
      this.programs.push(program);
      return program;
    }, limits);
  }

  program(index = 0): ScriptedProgram {
    const found = this.programs[index];
    if (!found) throw new Error('no such program was started');
    return found;
  }

  /** On the connection of the peer `first`. */
  launch(processId: string, fields: Partial<LaunchRequest> = {}, signal = never): EventStream {
    const request = LaunchRequest.fromPartial({ processId, cmd: 'program', ...fields });
    const { holderId } = request;
    return new EventStream(this.processes.launch(request, { holderId, peer: 'first', signal }));
  }

  /** On the connection of the peer `second`. */
  attach(processId: string, offset?: number, holderId = ''): EventStream {
    const follower = { offset, holderId, peer: 'second', signal: never };
    return new EventStream(this.processes.attach(processId, follower));
  }

  list() {
    return this.processes.list();
  }

  find(processId: string) {
    return this.processes.find(processId);
  }

  /** Sends input to the program `a`; a text that names writer and sequence when none is given. */
  async send(writerId: string, sequence: number, text?: string, signal = never): Promise<void> {
    const input = Buffer.from(text ?? `${writerId}:${sequence}`);
    const process = await this.find('a');
    await process.sendInput({ writerId, sequence: BigInt(sequence), input }, signal);
  }
}

/** The events of one stream, taken one by one. */
export class EventStream {
  readonly #events: AsyncIterator<ProcessEvent>;

  constructor(events: AsyncIterable<ProcessEvent>) {
    this.#events = events[Symbol.asyncIterator]();
  }

  async next(): Promise<ProcessEvent['event']> {
    const { done, value } = await this.#events.next();
    return done ? undefined : (value as ProcessEvent).event;
  }

  async stop(): Promise<void> {
    await this.#events.return?.(undefined);
  }

  /** At least so many bytes of output, up to the end of a chunk. */
  async take(sizeBytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let taken = 0; taken < sizeBytes; ) {
      const event = await this.next();
      if (event?.$case !== 'output') throw new Error('no output');
      parts.push(event.value.data);
      taken += event.value.data.length;
    }
    return Buffer.concat(parts);
  }

  async rest(): Promise<{ text: string; exited: ProcessEvent_Exited | undefined }> {
    const parts: Buffer[] = [];
    let exited: ProcessEvent_Exited | undefined;
    for (let event = await this.next(); event; event = await this.next()) {
      if (event.$case === 'output') parts.push(event.value.data);
      if (event.$case === 'exited') exited = event.value;
    }
    return { text: Buffer.concat(parts).toString(), exited };
  }
}
