/** Files in sandboxes. */
import type { HttpBody } from '../../gen/ts/google/api/httpbody.js';
import type {
  ReadFileRequest,
  WriteFileRequest,
  WriteFileResponse,
} from '../../gen/ts/wrenn/v1/file.js';
import type { HostAgent } from '../hosts/host-agent.js';
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
}
