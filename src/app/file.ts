/** Files in sandboxes. */
import type { HttpBody } from '../../gen/ts/google/api/httpbody.js';
import type {
  FileEvent,
  FileInfo,
  ListDirRequest,
  ListDirResponse,
  MakeDirRequest,
  MoveRequest,
  ReadFileRequest,
  RemoveRequest,
  StatRequest,
  StreamReadFileRequest,
  StreamWriteFileRequest,
  WatchDirRequest,
  WriteFileRequest,
  WriteFileResponse,
} from '../../gen/ts/wrenn/v1/file.js';
import type { HostAgent } from '../hosts/host-agent.js';
import { openRequests } from './first-message.js';
import type { StreamCaller } from './open-streams.js';
import type { SandboxOperations } from './sandbox.js';

export class FileOperations {
  readonly #sandboxes: SandboxOperations;
  readonly #host: HostAgent;

  constructor(sandboxes: SandboxOperations, host: HostAgent) {
    this.#sandboxes = sandboxes;
    this.#host = host;
  }

  /** Writes a whole file. @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, FILE_NOT_USABLE, GUEST_DISK_FULL, … */
  async write(
    teamId: string,
    { sandboxId, path, file, user, mode }: WriteFileRequest,
    signal: AbortSignal,
  ): Promise<WriteFileResponse> {
    const { sizeBytes } = await this.#sandboxes.use(teamId, sandboxId, () =>
      this.#host.writeFile({ sandboxId, path, content: file, user, mode }, signal),
    );
    return { path, sizeBytes };
  }

  /** Reads a whole file. @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, FILE_NOT_FOUND, FILE_TOO_LARGE, … */
  async read(
    teamId: string,
    { sandboxId, path }: ReadFileRequest,
    signal: AbortSignal,
  ): Promise<HttpBody> {
    const { content } = await this.#sandboxes.use(teamId, sandboxId, () =>
      this.#host.readFile({ sandboxId, path }, signal),
    );
    return { contentType: 'application/octet-stream', data: content, extensions: [] };
  }

  /** Writes a file of any size. @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, STREAM_LIMIT, FILE_NOT_USABLE, GUEST_DISK_FULL, … */
  async streamWrite(
    caller: StreamCaller,
    requests: AsyncIterable<StreamWriteFileRequest>,
  ): Promise<WriteFileResponse> {
    const { first, all } = await openRequests(requests);
    return this.#sandboxes.upload(caller, first.sandboxId, (signal) =>
      this.#host.files.write(all, signal),
    );
  }

  /** Reads a file of any size. @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, STREAM_LIMIT, FILE_NOT_FOUND, FILE_NOT_USABLE, … */
  streamRead(caller: StreamCaller, request: StreamReadFileRequest): AsyncIterable<HttpBody> {
    const { files } = this.#host;
    return this.#sandboxes.stream(caller, request.sandboxId, (signal) =>
      files.read(request, signal),
    );
  }

  /** @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, FILE_NOT_FOUND, FILE_NOT_USABLE, … */
  stat(teamId: string, request: StatRequest, signal: AbortSignal): Promise<FileInfo> {
    const { files } = this.#host;
    return this.#sandboxes.use(teamId, request.sandboxId, () => files.stat(request, signal));
  }

  /** @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, FILE_NOT_FOUND, FILE_NOT_USABLE, … */
  list(teamId: string, request: ListDirRequest, signal: AbortSignal): Promise<ListDirResponse> {
    const { files } = this.#host;
    return this.#sandboxes.use(teamId, request.sandboxId, () => files.list(request, signal));
  }

  /** @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, FILE_EXISTS, FILE_NOT_USABLE, GUEST_DISK_FULL, … */
  makeDirectory(teamId: string, request: MakeDirRequest, signal: AbortSignal): Promise<FileInfo> {
    const { files } = this.#host;
    return this.#sandboxes.use(teamId, request.sandboxId, () =>
      files.makeDirectory(request, signal),
    );
  }

  /** @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, FILE_NOT_FOUND, FILE_EXISTS, FILE_NOT_USABLE, … */
  move(teamId: string, request: MoveRequest, signal: AbortSignal): Promise<FileInfo> {
    const { files } = this.#host;
    return this.#sandboxes.use(teamId, request.sandboxId, () => files.move(request, signal));
  }

  /** @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, FILE_NOT_FOUND, FILE_NOT_USABLE, … */
  remove(teamId: string, request: RemoveRequest, signal: AbortSignal): Promise<void> {
    const { files } = this.#host;
    return this.#sandboxes.use(teamId, request.sandboxId, () => files.remove(request, signal));
  }

  /** Tells what happens in a directory. @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, STREAM_LIMIT, FILE_NOT_FOUND, … */
  watch(caller: StreamCaller, request: WatchDirRequest): AsyncIterable<FileEvent> {
    const { files } = this.#host;
    return this.#sandboxes.stream(caller, request.sandboxId, (signal) =>
      files.watch(request, signal),
    );
  }
}
