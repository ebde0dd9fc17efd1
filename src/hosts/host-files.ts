/** Files in the sandboxes of a host. */
import type { HttpBody } from '../../gen/ts/google/api/httpbody.js';
import type {
  FileEvent,
  FileInfo,
  ListDirRequest,
  ListDirResponse,
  MakeDirRequest,
  MoveRequest,
  RemoveRequest,
  StatRequest,
  StreamReadFileRequest,
  StreamWriteFileRequest,
  WatchDirRequest,
  WriteFileResponse,
} from '../../gen/ts/wrenn/v1/file.js';
import { type AgentConnection, translate, translateStream } from './agent-connection.js';

/** A call about a file, through a busy guest. */
const CALL_TIMEOUT_MS = 60_000;

export class HostFiles {
  readonly #connection: AgentConnection;

  constructor(connection: AgentConnection) {
    this.#connection = connection;
  }

  write(
    requests: AsyncIterable<StreamWriteFileRequest>,
    signal: AbortSignal,
  ): Promise<WriteFileResponse> {
    const options = { timeoutMs: Number.POSITIVE_INFINITY, signal };
    return translate(this.#connection.streams.streamWriteFile(requests, options), { signal });
  }

  read(request: StreamReadFileRequest, signal: AbortSignal): AsyncIterable<HttpBody> {
    const options = { timeoutMs: Number.POSITIVE_INFINITY, signal };
    return translateStream(this.#connection.streams.streamReadFile(request, options), signal);
  }

  watch(request: WatchDirRequest, signal: AbortSignal): AsyncIterable<FileEvent> {
    const options = { timeoutMs: Number.POSITIVE_INFINITY, signal };
    return translateStream(this.#connection.streams.watchDir(request, options), signal);
  }

  stat(request: StatRequest, signal: AbortSignal): Promise<FileInfo> {
    const options = { timeoutMs: CALL_TIMEOUT_MS, signal };
    return translate(this.#connection.calls.stat(request, options), { signal });
  }

  list(request: ListDirRequest, signal: AbortSignal): Promise<ListDirResponse> {
    const options = { timeoutMs: CALL_TIMEOUT_MS, signal };
    return translate(this.#connection.calls.listDir(request, options), { signal });
  }

  makeDirectory(request: MakeDirRequest, signal: AbortSignal): Promise<FileInfo> {
    const options = { timeoutMs: CALL_TIMEOUT_MS, signal };
    return translate(this.#connection.calls.makeDir(request, options), { signal });
  }

  move(request: MoveRequest, signal: AbortSignal): Promise<FileInfo> {
    const options = { timeoutMs: CALL_TIMEOUT_MS, signal };
    return translate(this.#connection.calls.move(request, options), { signal });
  }

  async remove(request: RemoveRequest, signal: AbortSignal): Promise<void> {
    const options = { timeoutMs: CALL_TIMEOUT_MS, signal };
    await translate(this.#connection.calls.remove(request, options), { signal });
  }
}
