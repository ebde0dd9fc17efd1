/**
 * What can be done with the files of a sandbox. In all calls `..` takes away the
 * part of the path before it, whatever that is in the guest: one path means one
 * file, whether it is written or read.
 */
import { posix } from 'node:path';
import type {
  ListDirRequest,
  MakeDirRequest,
  MoveRequest,
  StreamWriteFileRequest,
} from '../../gen/ts/wrenn/v1/file.js';
import type { GuestFileEvent, GuestFileInfo } from '../guest/file-info.js';
import type { GuestClient } from '../guest/guest-client.js';
import { invalidRequest } from './errors.js';
import { fromListToken, toListToken } from './list-token.js';
import type { SandboxRegistry } from './registry.js';
import { type WatchRequest, watchDirectory } from './watching.js';
import { streamFromGuest, uploadToGuest, withGuest } from './with-guest.js';

/** Entries on a page of a directory when the caller does not say. */
const PAGE_SIZE_DEFAULT = 1000;
const DEPTH_DEFAULT = 1;

export interface DirectoryPage {
  entries: GuestFileInfo[];
  /** Empty on the last page. */
  nextPageToken: string;
}

export class Files {
  readonly #registry: SandboxRegistry;
  readonly #ready: () => Promise<void>;

  /** @param ready resolves when the sandboxes of an earlier run are known. */
  constructor(registry: SandboxRegistry, ready: () => Promise<void>) {
    this.#registry = registry;
    this.#ready = ready;
  }

  /** Writes a file of any size. The first request says where; it and the others hold the content. */
  async write(
    requests: AsyncIterable<StreamWriteFileRequest>,
    signal: AbortSignal,
  ): Promise<{ path: string; sizeBytes: number }> {
    await this.#ready();
    const iterator = requests[Symbol.asyncIterator]();
    const first = await iterator.next();
    if (first.done) throw invalidRequest('the stream ended before its first message');
    const { sandboxId, path, user, mode } = first.value;
    if (path === '') throw invalidRequest('path: the first message names the file');
    using streaming = this.#registry.streaming(signal);
    const { sizeBytes } = await uploadToGuest(this.#registry, sandboxId, ({ files }) =>
      files.write({ path, user, mode }, piecesOf(first.value, iterator), streaming.signal),
    );
    return { path, sizeBytes };
  }

  /** Reads a file of any size. */
  async *read(
    sandboxId: string,
    path: string,
    signal: AbortSignal,
  ): AsyncGenerator<Buffer, void, void> {
    await this.#ready();
    using streaming = this.#registry.streaming(signal);
    yield* streamFromGuest(this.#registry, sandboxId, ({ files }) =>
      files.read(posix.normalize(path), streaming.signal),
    );
  }

  stat(sandboxId: string, path: string, signal: AbortSignal): Promise<GuestFileInfo> {
    return this.#call(sandboxId, ({ files }) => files.stat(posix.normalize(path), signal));
  }

  /** A page of a directory and what is below it. */
  async list(request: ListDirRequest, signal: AbortSignal): Promise<DirectoryPage> {
    const path = withoutDots(request.path);
    const query = {
      path,
      depth: request.depth || DEPTH_DEFAULT,
      entriesMax: request.pageSize || PAGE_SIZE_DEFAULT,
      after: fromListToken(request.pageToken, path),
    };
    const { entries, hasMore } = await this.#call(request.sandboxId, ({ files }) =>
      files.list(query, signal),
    );
    return { entries, nextPageToken: hasMore ? toListToken(entries.at(-1)?.path ?? '') : '' };
  }

  makeDirectory(request: MakeDirRequest, signal: AbortSignal): Promise<GuestFileInfo> {
    const { sandboxId, path, user, mode } = request;
    return this.#call(sandboxId, ({ files }) => files.makeDirectory({ path, user, mode }, signal));
  }

  move(request: MoveRequest, signal: AbortSignal): Promise<GuestFileInfo> {
    const { sandboxId, source, destination, user } = request;
    return this.#call(sandboxId, ({ files }) => files.move({ source, destination, user }, signal));
  }

  remove(sandboxId: string, path: string, signal: AbortSignal): Promise<void> {
    return this.#call(sandboxId, ({ files }) => files.remove(path, signal));
  }

  /** Tells what happens in a directory, also across pauses. */
  async *watch(
    request: WatchRequest,
    signal: AbortSignal,
  ): AsyncGenerator<GuestFileEvent, void, void> {
    await this.#ready();
    const { sandboxId, recursive } = request;
    const wish = { sandboxId, recursive, path: withoutDots(request.path) };
    using streaming = this.#registry.streaming(signal);
    yield* watchDirectory(this.#registry, wish, streaming.signal);
  }

  async #call<T>(sandboxId: string, call: (guest: GuestClient) => Promise<T>): Promise<T> {
    await this.#ready();
    return withGuest(this.#registry, sandboxId, call);
  }
}

async function* piecesOf(
  first: StreamWriteFileRequest,
  rest: AsyncIterator<StreamWriteFileRequest>,
): AsyncGenerator<Buffer, void, void> {
  if (first.file) yield first.file.data;
  for (;;) {
    const { done, value } = await rest.next();
    if (done) return;
    const { sandboxId, path, user, mode, file } = value;
    if (sandboxId !== '' || path !== '' || user !== '' || mode !== 0) {
      throw invalidRequest('messages after the first hold nothing but a piece of the file');
    }
    if (file) yield file.data;
  }
}

/** The form in which the guest names what is in a directory: without `.`, `..` and a `/` at the end. */
function withoutDots(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 ? normal.replace(/\/$/, '') : normal;
}
