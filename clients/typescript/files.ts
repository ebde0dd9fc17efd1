import {
  type FileEvent,
  type FileInfo,
  ListDirRequest,
  type ListDirResponse,
  MakeDirRequest,
  MoveRequest,
  FileServiceService as Service,
  StreamWriteFileRequest,
  WriteFileRequest,
  type WriteFileResponse,
} from '../../gen/ts/wrenn/v1/file.js';
import type { CallOptions, Connection } from './connection.js';
import { eachOfPages, type PageOptions } from './pages.js';
import { piecesOf } from './streams.js';

/** Largest file, in bytes, that `read` and `write` carry; streams carry any. */
export const FILE_BYTES_MAX = 3 * 1024 * 1024;

/** Bytes of a file that one message of a stream carries. */
const PIECE_BYTES_MAX = 128 * 1024;
/** A large directory is removed, and a deep one listed, entry by entry. */
const TREE_TIMEOUT_MS = 120_000;

/** Whom a new file belongs to, and who may do what with it. */
export interface FileOptions {
  /** Owner; `root` when left out. */
  user?: string;
  /** Permission bits, such as `0o755`. */
  mode?: number;
}

/** Files in a sandbox. The client needs an API key. */
export class Files {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Writes a whole file of up to 3 MiB; a file there is replaced, missing folders are made.
   * @param path absolute path in the sandbox.
   */
  write(
    sandboxId: string,
    path: string,
    content: string | Uint8Array,
    file: FileOptions = {},
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

  /** The bytes of a whole file of up to 3 MiB. */
  async read(sandboxId: string, path: string, options?: CallOptions): Promise<Buffer> {
    const body = await this.#connection.call(Service.readFile, { sandboxId, path }, options);
    return body.data;
  }

  /**
   * Writes a file of any size, as fast as the sandbox takes it. It appears under
   * its path when all of it is there; until then what was there stays.
   * @param content such as a stream of node:fs. When it throws nothing is written.
   */
  writeStream(
    sandboxId: string,
    path: string,
    content: AsyncIterable<Uint8Array>,
    file: FileOptions = {},
    options?: CallOptions,
  ): Promise<WriteFileResponse> {
    const first = StreamWriteFileRequest.fromPartial({ ...file, sandboxId, path });
    return this.#connection.write(Service.streamWriteFile, toRequests(first, content), options);
  }

  /** The bytes of a file of any size, read as fast as they are taken. */
  async *readStream(
    sandboxId: string,
    path: string,
    options?: CallOptions,
  ): AsyncGenerator<Buffer, void, void> {
    const bodies = this.#connection.read(Service.streamReadFile, { sandboxId, path }, options);
    for await (const { data } of bodies) yield data;
  }

  /** What is at a path; a symbolic link is not followed. */
  stat(sandboxId: string, path: string, options?: CallOptions): Promise<FileInfo> {
    return this.#connection.call(Service.stat, { sandboxId, path }, options);
  }

  /** One page, of up to 1000 entries, of a directory and those in it down to `depth` levels. */
  listPage(
    sandboxId: string,
    path: string,
    list: PageOptions & { depth?: number } = {},
    options?: CallOptions,
  ): Promise<ListDirResponse> {
    const request = ListDirRequest.fromPartial({ ...list, sandboxId, path });
    return this.#connection.call(Service.listDir, request, {
      timeoutMs: TREE_TIMEOUT_MS,
      ...options,
    });
  }

  /**
   * What is in a directory, in the order of paths, fetched page by page.
   * @param depth levels below it, up to 64.
   */
  list(
    sandboxId: string,
    path: string,
    { depth = 1 }: { depth?: number } = {},
    options?: CallOptions,
  ): AsyncIterable<FileInfo> {
    return eachOfPages(async (pageToken) => {
      const page = await this.listPage(sandboxId, path, { depth, pageToken }, options);
      return { items: page.entries, nextPageToken: page.nextPageToken };
    });
  }

  /** Makes a directory and those above it. One that is there is no error. */
  makeDir(
    sandboxId: string,
    path: string,
    directory: FileOptions = {},
    options?: CallOptions,
  ): Promise<FileInfo> {
    const request = MakeDirRequest.fromPartial({ ...directory, sandboxId, path });
    return this.#connection.call(Service.makeDir, request, options);
  }

  /** Gives a file or directory another path on the same filesystem. */
  move(
    sandboxId: string,
    source: string,
    destination: string,
    options?: CallOptions,
  ): Promise<FileInfo> {
    const request = MoveRequest.fromPartial({ sandboxId, source, destination });
    return this.#connection.call(Service.move, request, options);
  }

  /** Deletes a file, a link, or a directory with all that is in it. */
  async remove(sandboxId: string, path: string, options?: CallOptions): Promise<void> {
    const limit = { timeoutMs: TREE_TIMEOUT_MS, ...options };
    await this.#connection.call(Service.remove, { sandboxId, path }, limit);
  }

  /** What happens in a directory; the first event says that the watch has begun. */
  watch(
    sandboxId: string,
    path: string,
    { recursive = false }: { recursive?: boolean } = {},
    options?: CallOptions,
  ): AsyncIterable<FileEvent> {
    return this.#connection.read(Service.watchDir, { sandboxId, path, recursive }, options);
  }
}

/** The fields first, then the content alone. */
async function* toRequests(
  first: StreamWriteFileRequest,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<StreamWriteFileRequest, void, void> {
  yield first;
  for await (const bytes of content) {
    for (const data of piecesOf(bytes, PIECE_BYTES_MAX)) {
      yield StreamWriteFileRequest.fromPartial({ file: { data } });
    }
  }
}
