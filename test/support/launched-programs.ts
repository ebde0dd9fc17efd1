/** Launched programs of a real guest daemon: calls by id, and the events of their streams. */
import {
  AttachRequest,
  LaunchRequest,
  OutputStream,
  type ProcessEvent,
  type ProcessEvent_Exited,
} from '../../gen/ts/wrenn/envd/v1/process.js';
import type { EnvdProcess } from './envd.js';

export interface LaunchedOutput {
  pid: number;
  /** All output, whatever its stream. */
  bytes: Buffer;
  stdout: string;
  stderr: string;
  terminal: string;
  /** Offset behind the last byte. */
  nextOffset: number;
  exited: ProcessEvent_Exited | undefined;
}

/** A daemon, or a connection of one's own to it. */
type Daemon = Pick<EnvdProcess, 'processes' | 'options'>;

/** Calls of one daemon, also after it was started again. */
export class LaunchedPrograms {
  readonly #envd: Daemon;
  readonly #sequences = new Map<string, bigint>();

  constructor(envd: Daemon) {
    this.#envd = envd;
  }

  launch(request: Partial<LaunchRequest>, signal?: AbortSignal): LaunchedStream {
    const options = { ...this.#envd.options, signal };
    const { processes } = this.#envd;
    return new LaunchedStream(processes.launch(LaunchRequest.fromPartial(request), options));
  }

  /** Launches, and leaves as soon as the program runs. @returns its pid. */
  async start(request: Partial<LaunchRequest>): Promise<number> {
    const stream = this.launch(request);
    const { pid } = await stream.started();
    await stream.stop();
    return pid;
  }

  attach(processId: string, offset?: number, holderId = '', signal?: AbortSignal): LaunchedStream {
    const from = offset === undefined ? undefined : BigInt(offset);
    const request = AttachRequest.fromPartial({ processId, offset: from, holderId });
    const options = { ...this.#envd.options, signal };
    return new LaunchedStream(this.#envd.processes.attach(request, options));
  }

  async list() {
    return (await this.#envd.processes.listProcesses({}, this.#envd.options)).processes;
  }

  async find(processId: string) {
    const found = (await this.list()).find((process) => process.processId === processId);
    if (!found) throw new Error(`no process ${processId}`);
    return found;
  }

  /** Sends the next piece of one writer's input. */
  async input(processId: string, text: string | Buffer): Promise<void> {
    const sequence = (this.#sequences.get(processId) ?? 0n) + 1n;
    this.#sequences.set(processId, sequence);
    await this.send(processId, 'writer', sequence, text);
  }

  async send(processId: string, writerId: string, sequence: bigint, text: string | Buffer) {
    const request = { processId, input: Buffer.from(text), writerId, sequence };
    await this.#envd.processes.sendInput(request, this.#envd.options);
  }

  async closeInput(processId: string): Promise<void> {
    await this.#envd.processes.closeStdin({ processId }, this.#envd.options);
  }

  async signal(processId: string, signal: number): Promise<void> {
    await this.#envd.processes.sendSignal({ processId, signal }, this.#envd.options);
  }

  async resize(processId: string, cols: number, rows: number): Promise<void> {
    await this.#envd.processes.resize({ processId, size: { cols, rows } }, this.#envd.options);
  }
}

/** One stream of events, read as far as a test wants. It checks that no byte is missing or twice. */
export class LaunchedStream {
  readonly #events: AsyncIterator<ProcessEvent>;
  readonly #chunks: { stream: OutputStream; data: Buffer }[] = [];
  #nextOffset: number | undefined;
  #pid = 0;
  #exited: ProcessEvent_Exited | undefined;

  constructor(events: AsyncIterable<ProcessEvent>) {
    this.#events = events[Symbol.asyncIterator]();
  }

  /** Reads until the program runs. */
  started(): Promise<LaunchedOutput> {
    return this.until(() => this.#pid !== 0);
  }

  /** Reads to the end. */
  rest(): Promise<LaunchedOutput> {
    return this.until(() => false);
  }

  /** Reads until so many bytes of output have come in. */
  take(sizeBytes: number): Promise<LaunchedOutput> {
    let bytes = 0;
    let seen = 0;
    return this.until(() => {
      for (; seen < this.#chunks.length; seen += 1) bytes += this.#chunks[seen]?.data.length ?? 0;
      return bytes >= sizeBytes;
    });
  }

  /** Reads until the output so far holds a text. */
  untilText(text: string): Promise<LaunchedOutput> {
    return this.until(() => this.#collected().bytes.includes(text));
  }

  async until(isEnough: () => boolean): Promise<LaunchedOutput> {
    while (!isEnough()) {
      const { done, value } = await this.#events.next();
      if (done) break;
      this.#add(value);
    }
    return this.#collected();
  }

  async stop(): Promise<void> {
    await this.#events.return?.(undefined);
  }

  #add({ event }: ProcessEvent): void {
    if (this.#exited) throw new Error('an event after the end');
    if (event?.$case === 'started') this.#pid = event.value.pid;
    if (event?.$case === 'exited') this.#exited = event.value;
    if (event?.$case !== 'output') return;
    const { offset, data, stream } = event.value;
    const expected = this.#nextOffset ?? Number(offset);
    if (Number(offset) !== expected) throw new Error(`offset ${offset}, not ${expected}`);
    this.#nextOffset = expected + data.length;
    this.#chunks.push({ stream, data });
  }

  #collected(): LaunchedOutput {
    const bytesOf = (stream?: OutputStream) =>
      Buffer.concat(
        this.#chunks
          .filter((chunk) => stream === undefined || chunk.stream === stream)
          .map(({ data }) => data),
      );
    return {
      pid: this.#pid,
      bytes: bytesOf(),
      stdout: bytesOf(OutputStream.OUTPUT_STREAM_STDOUT).toString(),
      stderr: bytesOf(OutputStream.OUTPUT_STREAM_STDERR).toString(),
      terminal: bytesOf(OutputStream.OUTPUT_STREAM_PTY).toString(),
      nextOffset: this.#nextOffset ?? 0,
      exited: this.#exited,
    };
  }
}
