import {
  AttachRequest,
  ExecRequest,
  type ExecResponse,
  ExecStreamRequest,
  type Process,
  type ProcessEvent,
  ProcessSpec,
  ProcessServiceService as Service,
  type Signal,
} from '../../gen/ts/wrenn/v1/process.js';
import type { CallOptions, Connection } from './connection.js';
import { ProcessStream } from './process-stream.js';

/** The server's limit for a program when the caller names none. */
const EXEC_TIMEOUT_SEC = 30;
/** How much longer than the program's own limit the client waits for the answer. */
const EXEC_MARGIN_MS = 30_000;

/** What to run; no shell is involved. */
export type ExecOptions = Pick<ExecRequest, 'cmd'> & Partial<Omit<ExecRequest, 'sandboxId'>>;

/** What to run as a stream or in the background; no shell is involved, and no time limit unless given. */
export type ProcessOptions = Pick<ProcessSpec, 'cmd'> & Partial<ProcessSpec>;

/** What became of the program: output, exit code and duration. */
export type ExecResult = ExecResponse;

/** Where to go on with a program's output. */
export interface OutputOptions {
  /** Offset of the first byte wanted; the first that is kept when left out. */
  offset?: number | undefined;
}

/** Runs a program to its end. */
export function exec(
  connection: Connection,
  sandboxId: string,
  command: ExecOptions,
  options?: CallOptions,
): Promise<ExecResult> {
  const timeoutMs = (command.timeoutSec || EXEC_TIMEOUT_SEC) * 1000 + EXEC_MARGIN_MS;
  const request = ExecRequest.fromPartial({ ...command, sandboxId });
  return connection.call(Service.exec, request, { timeoutMs, ...options });
}

/** Programs that live on when their stream ends. The client needs an API key. */
export class Processes {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Starts a program as a conversation. */
  run(sandboxId: string, program: ProcessOptions, options?: CallOptions): ProcessStream {
    const start = ProcessSpec.fromPartial(program);
    return this.#converse(sandboxId, { $case: 'start', value: start }, options);
  }

  /** Goes on with a program as a conversation. */
  connect(
    sandboxId: string,
    processId: string,
    { offset }: OutputOptions = {},
    options?: CallOptions,
  ): ProcessStream {
    const attach = { processId, offset };
    return this.#converse(sandboxId, { $case: 'attach', value: attach }, options);
  }

  /** Starts a program in the background and resolves when it runs. */
  start(sandboxId: string, program: ProcessOptions, options?: CallOptions): Promise<Process> {
    const process = ProcessSpec.fromPartial(program);
    return this.#connection.call(Service.start, { sandboxId, process }, options);
  }

  /** Follows the output of a program to its end. */
  attach(
    sandboxId: string,
    processId: string,
    { offset }: OutputOptions = {},
    options?: CallOptions,
  ): AsyncIterable<ProcessEvent> {
    const request = AttachRequest.create({ sandboxId, processId, offset });
    return this.#connection.read(Service.attach, request, options);
  }

  /** The programs that were started, oldest first, also those that have ended as long as they are kept. */
  async list(sandboxId: string, options?: CallOptions): Promise<Process[]> {
    const answer = await this.#connection.call(Service.listProcesses, { sandboxId }, options);
    return answer.processes;
  }

  /** Sends a signal to a program's process group. */
  async signal(
    sandboxId: string,
    processId: string,
    signal: Signal,
    options?: CallOptions,
  ): Promise<void> {
    await this.#connection.call(Service.sendSignal, { sandboxId, processId, signal }, options);
  }

  /** Adds up to 1 MiB to a program's input; resolves when its queue has taken it. */
  async sendInput(
    sandboxId: string,
    processId: string,
    input: string | Uint8Array,
    options?: CallOptions,
  ): Promise<void> {
    const request = { sandboxId, processId, input: Buffer.from(input) };
    await this.#connection.call(Service.sendInput, request, options);
  }

  /** Lets a program read end of file after all input that was sent. */
  async closeStdin(sandboxId: string, processId: string, options?: CallOptions): Promise<void> {
    await this.#connection.call(Service.closeStdin, { sandboxId, processId }, options);
  }

  #converse(
    sandboxId: string,
    message: NonNullable<ExecStreamRequest['message']>,
    options: CallOptions = {},
  ): ProcessStream {
    const call = this.#connection.open<ExecStreamRequest, ProcessEvent>(
      Service.execStream,
      options,
    );
    const first = ExecStreamRequest.create({ sandboxId, message });
    return new ProcessStream(call, first, options.signal);
  }
}
