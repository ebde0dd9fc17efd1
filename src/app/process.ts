/** Programs in sandboxes. */
import type {
  AttachRequest,
  CloseStdinRequest,
  ExecRequest,
  ExecResponse,
  ExecStreamRequest,
  ListProcessesResponse,
  Process,
  ProcessEvent,
  SendInputRequest,
  SendSignalRequest,
  StartRequest,
} from '../../gen/ts/wrenn/v1/process.js';
import type { HostAgent } from '../hosts/host-agent.js';
import { openRequests } from './first-message.js';
import type { StreamCaller } from './open-streams.js';
import { decodeText } from './output-text.js';
import type { SandboxOperations } from './sandbox.js';

const TIMEOUT_SEC_DEFAULT = 30;
/**
 * Bytes of both outputs up to which they are given as text, too. Bytes and
 * text together then fit a message of 4 MiB with everything around them.
 */
export const TEXT_BYTES_MAX = 2_000_000;

export class ProcessOperations {
  readonly #sandboxes: SandboxOperations;
  readonly #host: HostAgent;

  constructor(sandboxes: SandboxOperations, host: HostAgent) {
    this.#sandboxes = sandboxes;
    this.#host = host;
  }

  /** Runs a program to its end. @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, COMMAND_NOT_FOUND, COMMAND_TIMEOUT, … */
  async exec(teamId: string, request: ExecRequest, signal: AbortSignal): Promise<ExecResponse> {
    const timeoutSec = request.timeoutSec || TIMEOUT_SEC_DEFAULT;
    const result = await this.#sandboxes.use(teamId, request.sandboxId, () =>
      this.#host.exec({ ...request, timeoutSec }, signal),
    );
    const { stdout, stderr, stdoutTruncated, stderrTruncated } = result;
    const hasText = stdout.length + stderr.length <= TEXT_BYTES_MAX;
    return {
      ...result,
      stdoutText: hasText ? decodeText(stdout, stdoutTruncated) : '',
      stderrText: hasText ? decodeText(stderr, stderrTruncated) : '',
    };
  }

  /** A conversation with a program. @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, STREAM_LIMIT, COMMAND_NOT_FOUND, PROCESS_NOT_FOUND, … */
  async *execStream(
    caller: StreamCaller,
    requests: AsyncIterable<ExecStreamRequest>,
  ): AsyncGenerator<ProcessEvent, void, void> {
    const { first, all } = await openRequests(requests);
    const { programs } = this.#host;
    yield* this.#sandboxes.stream(caller, first.sandboxId, (signal) =>
      programs.execStream(all, signal),
    );
  }

  /** Starts a program in the background. @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, COMMAND_NOT_FOUND, COMMAND_NOT_STARTED, … */
  start(teamId: string, request: StartRequest, signal: AbortSignal): Promise<Process> {
    const { programs } = this.#host;
    return this.#sandboxes.use(teamId, request.sandboxId, () => programs.start(request, signal));
  }

  /** Follows the output of a program. @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, STREAM_LIMIT, PROCESS_NOT_FOUND, OUTPUT_OUT_OF_RANGE, … */
  attach(caller: StreamCaller, request: AttachRequest): AsyncIterable<ProcessEvent> {
    const { programs } = this.#host;
    return this.#sandboxes.stream(caller, request.sandboxId, (signal) =>
      programs.attach(request, signal),
    );
  }

  /** The programs that were started. @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, … */
  list(teamId: string, sandboxId: string, signal: AbortSignal): Promise<ListProcessesResponse> {
    const { programs } = this.#host;
    return this.#sandboxes.use(teamId, sandboxId, () => programs.list(sandboxId, signal));
  }

  /** @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, PROCESS_NOT_FOUND, PROCESS_STATE, … */
  sendSignal(teamId: string, request: SendSignalRequest, signal: AbortSignal): Promise<void> {
    const { programs } = this.#host;
    return this.#sandboxes.use(teamId, request.sandboxId, () =>
      programs.sendSignal(request, signal),
    );
  }

  /** @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, PROCESS_NOT_FOUND, PROCESS_STATE, … */
  sendInput(teamId: string, request: SendInputRequest, signal: AbortSignal): Promise<void> {
    const { programs } = this.#host;
    return this.#sandboxes.use(teamId, request.sandboxId, () =>
      programs.sendInput(request, signal),
    );
  }

  /** @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, PROCESS_NOT_FOUND, … */
  closeStdin(teamId: string, request: CloseStdinRequest, signal: AbortSignal): Promise<void> {
    const { programs } = this.#host;
    return this.#sandboxes.use(teamId, request.sandboxId, () =>
      programs.closeStdin(request, signal),
    );
  }
}
