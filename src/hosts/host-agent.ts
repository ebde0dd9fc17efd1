/** One host's agent, over its Unix socket. Its errors arrive in public terms (agent-errors.ts). */
import type {
  CreateSandboxRequest,
  CreateSnapshotRequest,
  DestroySandboxRequest,
  ExecRequest,
  ExecResponse,
  ForkSandboxRequest,
  ForkSandboxResponse,
  Host,
  ListGenerationsResponse,
  ListSandboxesResponse,
  PauseSandboxRequest,
  ReadFileRequest,
  ReadFileResponse,
  ResumeSandboxRequest,
  ResumeSandboxResponse,
  Sandbox,
  SetSandboxTimeoutRequest,
  Snapshot,
  VerifyGenerationResponse,
  WriteFileRequest,
  WriteFileResponse,
} from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { AgentConnection, translate } from './agent-connection.js';
import { fromBootError, hostUnavailable } from './agent-errors.js';
import { HostFiles } from './host-files.js';
import { HostPrograms } from './host-programs.js';

/** A boot may wait for others and be slow under emulation; the agent bounds it more tightly. */
export const CREATE_TIMEOUT_MS = 600_000;
export const DESTROY_TIMEOUT_MS = 60_000;
/** All of a machine's memory goes to a disk that others use, too. */
export const PAUSE_TIMEOUT_MS = 600_000;
/** A guest comes back, or boots cold; the agent bounds both more tightly. */
export const RESUME_TIMEOUT_MS = 600_000;
/** A pause, a copy of nothing, and the guest goes on. */
export const SNAPSHOT_TIMEOUT_MS = PAUSE_TIMEOUT_MS;
export const DELETE_SNAPSHOT_TIMEOUT_MS = 60_000;
/** A snapshot, and then up to a hundred guests, a few at once. */
export const FORK_TIMEOUT_MS = 3_600_000;
/** All of a generation is read. */
export const VERIFY_TIMEOUT_MS = 600_000;
/** The answer comes from memory. */
export const QUERY_TIMEOUT_MS = 5000;
/** A file of 3 MiB through a busy guest. */
export const FILE_TIMEOUT_MS = 60_000;
/** Above a program's own time limit, for its start and its answer. */
export const EXEC_MARGIN_MS = 15_000;
/** A stream of hints is opened anew now and then. */
export const WATCH_TIMEOUT_MS = 3_600_000;

export class HostAgent {
  /** Programs that outlive a call. */
  readonly programs: HostPrograms;
  /** Files of any size, and folders. */
  readonly files: HostFiles;
  readonly #connection: AgentConnection;

  constructor(socketPath: string) {
    this.#connection = new AgentConnection(socketPath);
    this.programs = new HostPrograms(this.#connection);
    this.files = new HostFiles(this.#connection);
  }

  get #calls() {
    return this.#connection.calls;
  }

  getHost(): Promise<Host> {
    return translate(this.#calls.getHost({}, { timeoutMs: QUERY_TIMEOUT_MS }));
  }

  /** Makes sure that this is the host. @throws HOST_UNAVAILABLE when it is another one, or none answers. */
  async requireHost(hostId: string): Promise<void> {
    const { hostId: found } = await this.getHost();
    if (found !== hostId)
      throw hostUnavailable(new Error(`host ${hostId} asked for, ${found} here`));
  }

  /** The agent undoes the boot when the signal aborts. */
  createSandbox(request: CreateSandboxRequest, signal: AbortSignal): Promise<Sandbox> {
    const options = { timeoutMs: CREATE_TIMEOUT_MS, signal };
    return translate(this.#calls.createSandbox(request, options), {
      signal,
      toPublic: fromBootError,
    });
  }

  async destroySandbox(request: DestroySandboxRequest): Promise<void> {
    await translate(this.#calls.destroySandbox(request, { timeoutMs: DESTROY_TIMEOUT_MS }));
  }

  listSandboxes(): Promise<ListSandboxesResponse> {
    return translate(this.#calls.listSandboxes({}, { timeoutMs: QUERY_TIMEOUT_MS }));
  }

  /** Yields at once and after each change of the list, until the connection breaks. */
  async *watchChanges(signal: AbortSignal): AsyncIterable<void> {
    for await (const _ of this.#connection.streams.watchChanges(
      {},
      { timeoutMs: WATCH_TIMEOUT_MS, signal },
    )) {
      yield;
    }
  }

  pingSandbox(sandboxId: string): Promise<Sandbox> {
    return translate(this.#calls.pingSandbox({ sandboxId }, { timeoutMs: QUERY_TIMEOUT_MS }));
  }

  /** Never called off: half a pause is worse than one that nobody waits for. */
  pauseSandbox(request: PauseSandboxRequest): Promise<Sandbox> {
    return translate(this.#calls.pauseSandbox(request, { timeoutMs: PAUSE_TIMEOUT_MS }));
  }

  resumeSandbox(request: ResumeSandboxRequest): Promise<ResumeSandboxResponse> {
    const options = { timeoutMs: RESUME_TIMEOUT_MS };
    return translate(this.#calls.resumeSandbox(request, options), { toPublic: fromBootError });
  }

  setSandboxTimeout(request: SetSandboxTimeoutRequest): Promise<Sandbox> {
    return translate(this.#calls.setSandboxTimeout(request, { timeoutMs: QUERY_TIMEOUT_MS }));
  }

  createSnapshot(request: CreateSnapshotRequest): Promise<Snapshot> {
    return translate(this.#calls.createSnapshot(request, { timeoutMs: SNAPSHOT_TIMEOUT_MS }));
  }

  async deleteSnapshot(snapshotId: string): Promise<void> {
    const options = { timeoutMs: DELETE_SNAPSHOT_TIMEOUT_MS };
    await translate(this.#calls.deleteSnapshot({ snapshotId }, options));
  }

  forkSandbox(request: ForkSandboxRequest): Promise<ForkSandboxResponse> {
    return translate(this.#calls.forkSandbox(request, { timeoutMs: FORK_TIMEOUT_MS }));
  }

  listGenerations(sandboxId: string): Promise<ListGenerationsResponse> {
    return translate(this.#calls.listGenerations({ sandboxId }, { timeoutMs: QUERY_TIMEOUT_MS }));
  }

  verifyGeneration(sandboxId: string, signal: AbortSignal): Promise<VerifyGenerationResponse> {
    const options = { timeoutMs: VERIFY_TIMEOUT_MS, signal };
    return translate(this.#calls.verifyGeneration({ sandboxId }, options), { signal });
  }

  exec(request: ExecRequest, signal: AbortSignal): Promise<ExecResponse> {
    const timeoutMs = request.timeoutSec * 1000 + EXEC_MARGIN_MS;
    return translate(this.#calls.exec(request, { timeoutMs, signal }), { signal });
  }

  writeFile(request: WriteFileRequest, signal: AbortSignal): Promise<WriteFileResponse> {
    const options = { timeoutMs: FILE_TIMEOUT_MS, signal };
    return translate(this.#calls.writeFile(request, options), { signal });
  }

  readFile(request: ReadFileRequest, signal: AbortSignal): Promise<ReadFileResponse> {
    const options = { timeoutMs: FILE_TIMEOUT_MS, signal };
    return translate(this.#calls.readFile(request, options), { signal });
  }

  close(): void {
    this.#connection.close();
  }
}
