import {
  FileServiceService as Service,
  WriteFileRequest,
  type WriteFileResponse,
} from '../../gen/ts/wrenn/v1/file.js';
import type { CallOptions, Connection } from './connection.js';

/** Largest file, in bytes, that one call carries. */
export const FILE_BYTES_MAX = 3 * 1024 * 1024;

/** Files in a sandbox, of up to 3 MiB. The client needs an API key. */
export class Files {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Writes a whole file; a file there is replaced, missing folders are made.
   * @param path absolute path in the sandbox.
   * @param file.mode permission bits, such as `0o755`.
   */
  write(
    sandboxId: string,
    path: string,
    content: string | Uint8Array,
    file: { user?: string; mode?: number } = {},
    options?: CallOptions,
  ): Promise<WriteFileResponse> {
    const request = WriteFileRequest.fromPartial({
      ...file,
      sandboxId,
      path,
      file: Buffer.from(content),
    });
    return this.#connection.call(Service.writeFile, request, options);
  }

  /** The bytes of a whole file. */
  async read(sandboxId: string, path: string, options?: CallOptions): Promise<Buffer> {
    const body = await this.#connection.call(Service.readFile, { sandboxId, path }, options);
    return body.data;
  }
}
