/** Programs in the sandboxes of a host. */
import type {
  AttachRequest,
  CloseStdinRequest,
  ExecStreamRequest,
  ListProcessesResponse,
  Process,
  ProcessEvent,
  SendInputRequest,
  SendSignalRequest,
  StartRequest,
} from '../../gen/ts/wrenn/v1/process.js';
import { type AgentConnection, translate, translateStream } from './agent-connection.js';

/** A program starts, or is asked about; a busy guest gets the time. */
export const PROGRAM_TIMEOUT_MS = 60_000;
/** A program that does not read its input may keep a call this long. */
export const INPUT_TIMEOUT_MS = 60_000;

export class HostPrograms {
  readonly #connection: AgentConnection;

  constructor(connection: AgentConnection) {
    this.#connection = connection;
  }

  execStream(
    requests: AsyncIterable<ExecStreamRequest>,
    signal: AbortSignal,
  ): AsyncIterable<ProcessEvent> {
    const options = { timeoutMs: Number.POSITIVE_INFINITY, signal };
    return translateStream(this.#connection.streams.execStream(requests, options), signal);
  }

  attach(request: AttachRequest, signal: AbortSignal): AsyncIterable<ProcessEvent> {
    const options = { timeoutMs: Number.POSITIVE_INFINITY, signal };
    return translateStream(this.#connection.streams.attach(request, options), signal);
  }

  start(request: StartRequest, signal: AbortSignal): Promise<Process> {
    const options = { timeoutMs: PROGRAM_TIMEOUT_MS, signal };
    return translate(this.#connection.calls.start(request, options), { signal });
  }

  list(sandboxId: string, signal: AbortSignal): Promise<ListProcessesResponse> {
    const options = { timeoutMs: PROGRAM_TIMEOUT_MS, signal };
    return translate(this.#connection.calls.listProcesses({ sandboxId }, options), { signal });
  }

  async sendSignal(request: SendSignalRequest, signal: AbortSignal): Promise<void> {
    const options = { timeoutMs: PROGRAM_TIMEOUT_MS, signal };
    await translate(this.#connection.calls.sendSignal(request, options), { signal });
  }

  async sendInput(request: SendInputRequest, signal: AbortSignal): Promise<void> {
    const options = { timeoutMs: INPUT_TIMEOUT_MS, signal };
    await translate(this.#connection.streams.sendInput(request, options), { signal });
  }

  async closeStdin(request: CloseStdinRequest, signal: AbortSignal): Promise<void> {
    const options = { timeoutMs: PROGRAM_TIMEOUT_MS, signal };
    await translate(this.#connection.calls.closeStdin(request, options), { signal });
  }
}
