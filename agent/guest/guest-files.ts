/** Files of a guest, of any size, and its folders. */
import type { FilesystemServiceService } from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import type { ClientCallOptions, RpcClient } from '../../lib/rpc/client.js';
import {
  checkFileEvent,
  checkFileInfo,
  type GuestFileEvent,
  type GuestFileInfo,
  isBelow,
} from './file-info.js';
import type { GuestCalls } from './guest-calls.js';
import { contractBroken, guestUnreachable } from './guest-error.js';
import { stallGuard } from './stall-guard.js';

/** Largest piece of a file that a guest sends. */
const PIECE_BYTES_MAX = 64 * 1024;
/** Empty pieces, and events of unknown kinds, that a stream may hold. */
const IDLE_MESSAGES_MAX = 1000;

export interface GuestFileTarget {
  path: string;
  /** Owner of a new file; empty for root. */
  user: string;
  /** Permission bits; 0 keeps a file's own. */
  mode: number;
}

export interface GuestListing {
  entries: GuestFileInfo[];
  hasMore: boolean;
}

export interface GuestFileLimits {
  fileTimeoutMs: number;
}

type Files = RpcClient<typeof FilesystemServiceService>;

export class GuestFiles {
  readonly #calls: GuestCalls;
  readonly #limits: GuestFileLimits;

  constructor(calls: GuestCalls, limits: GuestFileLimits) {
    this.#calls = calls;
    this.#limits = limits;
  }

  /**
   * Writes a file of any size; it appears whole or not at all.
   * @throws WrennError FILE_NOT_USABLE, GUEST_DISK_FULL, GUEST_UNREACHABLE, and what `pieces` throws.
   */
  async write(
    target: GuestFileTarget,
    pieces: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ): Promise<{ sizeBytes: number }> {
    const stalled = stallGuard(this.#limits.fileTimeoutMs, notTaken, signal);
    let sizeBytes = 0;
    let isWhole = false;
    let failure: { cause: unknown } | undefined;
    async function* requests() {
      yield stalled.while({ ...target, content: Buffer.alloc(0) });
      stalled.end();
      try {
        for await (const content of pieces) {
          sizeBytes += content.length;
          yield stalled.while({ path: '', user: '', mode: 0, content });
          stalled.end();
        }
      } catch (cause) {
        failure = { cause };
        throw cause;
      }
      // From here the guest has it all, and only its answer is waited for.
      isWhole = true;
      stalled.begin();
    }
    const options = this.#calls.options(Number.POSITIVE_INFINITY, stalled.signal);
    try {
      await this.#calls.upload(stalled.signal, ({ files }) =>
        files.streamWriteFile(requests(), options),
      );
    } catch (error) {
      // What the pieces threw is no fault of the guest.
      throw failure ? failure.cause : error;
    } finally {
      stalled.end();
    }
    if (!isWhole) throw contractBroken('an answer before the end of the file');
    return { sizeBytes };
  }

  /** Reads a file of any size. @throws WrennError FILE_NOT_FOUND, FILE_NOT_USABLE, GUEST_UNREACHABLE */
  async *read(path: string, signal: AbortSignal): AsyncGenerator<Buffer, void, void> {
    const stalled = stallGuard(this.#limits.fileTimeoutMs, notSent, signal);
    const options = this.#calls.options(Number.POSITIVE_INFINITY, stalled.signal);
    let empty = 0;
    try {
      stalled.begin();
      for await (const { content } of this.#calls.stream(stalled.signal, ({ files }) =>
        files.streamReadFile({ path }, options),
      )) {
        stalled.end();
        if (content.length > PIECE_BYTES_MAX) throw contractBroken('a piece that is too large');
        if (content.length > 0) yield content;
        else empty += 1;
        if (empty > IDLE_MESSAGES_MAX) throw contractBroken('empty pieces without end');
        stalled.begin();
      }
    } finally {
      stalled.end();
    }
  }

  /** @throws WrennError FILE_NOT_FOUND, FILE_NOT_USABLE */
  async stat(path: string, signal: AbortSignal): Promise<GuestFileInfo> {
    return checkFileInfo(
      await this.#call(signal, (files, options) => files.stat({ path }, options)),
    );
  }

  /**
   * Lists a part of a directory.
   * @param after path of the last entry of the part before; empty for the first.
   * @throws WrennError FILE_NOT_FOUND, FILE_NOT_USABLE
   */
  async list(
    query: { path: string; depth: number; entriesMax: number; after: string },
    signal: AbortSignal,
  ): Promise<GuestListing> {
    const { entries: sent, hasMore } = await this.#call(signal, (files, options) =>
      files.listDir(query, options),
    );
    if (sent.length > query.entriesMax) throw contractBroken('more entries than asked for');
    const entries = sent.map(checkFileInfo);
    if (entries.some(({ path }) => !isBelow(path, query.path))) {
      throw contractBroken('an entry of another directory');
    }
    const last = entries.at(-1)?.path;
    if (hasMore && (last === undefined || last === query.after)) {
      throw contractBroken('a list without end');
    }
    return { entries, hasMore };
  }

  /** Makes a directory and those above it. @throws WrennError FILE_EXISTS, FILE_NOT_USABLE, GUEST_DISK_FULL */
  async makeDirectory(target: GuestFileTarget, signal: AbortSignal): Promise<GuestFileInfo> {
    return checkFileInfo(
      await this.#call(signal, (files, options) => files.makeDir(target, options)),
    );
  }

  /** @throws WrennError FILE_NOT_FOUND, FILE_EXISTS, FILE_NOT_USABLE */
  async move(
    request: { source: string; destination: string; user: string },
    signal: AbortSignal,
  ): Promise<GuestFileInfo> {
    return checkFileInfo(
      await this.#call(signal, (files, options) => files.move(request, options)),
    );
  }

  /** @throws WrennError FILE_NOT_FOUND, FILE_NOT_USABLE */
  async remove(path: string, signal: AbortSignal): Promise<void> {
    await this.#call(signal, (files, options) => files.remove({ path }, options));
  }

  /** Tells what happens in a directory; `ready` comes first. @throws WrennError FILE_NOT_FOUND, FILE_NOT_USABLE, STREAM_LIMIT */
  async *watch(
    { path, recursive }: { path: string; recursive: boolean },
    signal: AbortSignal,
  ): AsyncGenerator<GuestFileEvent, void, void> {
    const options = this.#calls.options(Number.POSITIVE_INFINITY, signal);
    let unknown = 0;
    for await (const event of this.#calls.stream(signal, ({ files }) =>
      files.watchDir({ path, recursive }, options),
    )) {
      const checked = checkFileEvent(event, path);
      if (checked) yield checked;
      else unknown += 1;
      if (unknown > IDLE_MESSAGES_MAX) throw contractBroken('unknown events without end');
    }
    throw contractBroken('a watch that ends without a cause');
  }

  #call<T>(
    signal: AbortSignal,
    call: (files: Files, options: ClientCallOptions) => Promise<T>,
  ): Promise<T> {
    const options = this.#calls.options(this.#limits.fileTimeoutMs, signal);
    return this.#calls.call(signal, ({ files }) => call(files, options));
  }
}

function notTaken() {
  return guestUnreachable('the guest takes no more of the file');
}

function notSent() {
  return guestUnreachable('the guest sends no more of the file');
}
