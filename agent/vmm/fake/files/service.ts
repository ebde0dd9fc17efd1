/** FilesystemService of a fake guest. */
import type {
  FileEvent,
  FilesystemServiceService,
  ListDirRequest,
  MakeDirRequest,
  MoveRequest,
  ReadFileRequest,
  RemoveRequest,
  StatRequest,
  StreamReadFileRequest,
  StreamReadFileResponse,
  StreamWriteFileRequest,
  WatchDirRequest,
  WriteFileRequest,
} from '../../../../gen/ts/wrenn/envd/v1/filesystem.js';
import { Code, WrennError } from '../../../../lib/errors/index.js';
import { guestFailure } from '../../../../lib/guest/guest-failure.js';
import type { CallContext } from '../../../../lib/rpc/call-context.js';
import type { Handlers } from '../../../../lib/rpc/service.js';
import type { FakeCalls } from '../calls.js';
import type { FakeFiles } from './files.js';

/** Bytes of one piece of a file. */
const PIECE_BYTES = 64 * 1024;
const LIST_ENTRIES_MAX = 1000;

export function fileHandlers(
  files: FakeFiles,
  calls: FakeCalls,
): Handlers<typeof FilesystemServiceService, undefined> {
  return { ...contentHandlers(files, calls), ...treeHandlers(files, calls) };
}

function contentHandlers(files: FakeFiles, calls: FakeCalls) {
  return {
    async writeFile({ signal }: CallContext, request: WriteFileRequest) {
      await calls.reach('guest.write_file', signal);
      requireAbsolute(request.path);
      await files.write(request);
      return { sizeBytes: request.content.length };
    },

    async readFile({ signal }: CallContext, { path, sizeBytesMax }: ReadFileRequest) {
      await calls.reach('guest.read_file', signal);
      requireAbsolute(path);
      const content = files.readFile(path);
      if (content.length > sizeBytesMax) throw guestFailure('file_too_large');
      return { content };
    },

    async streamWriteFile({ signal }: CallContext, pieces: AsyncIterable<StreamWriteFileRequest>) {
      await calls.reach('guest.stream_write', signal);
      const file = await receive(files, pieces);
      await calls.pass();
      signal.throwIfAborted();
      await files.write(file);
      return { sizeBytes: file.content.length };
    },

    async *streamReadFile({ signal }: CallContext, { path }: StreamReadFileRequest) {
      await calls.reach('guest.stream_read', signal);
      requireAbsolute(path);
      const content = files.readFile(path);
      for (let start = 0; start < content.length; start += PIECE_BYTES) {
        await calls.pass();
        const piece: StreamReadFileResponse = {
          content: content.subarray(start, start + PIECE_BYTES),
        };
        yield piece;
      }
    },
  };
}

function treeHandlers(files: FakeFiles, calls: FakeCalls) {
  return {
    async stat({ signal }: CallContext, { path }: StatRequest) {
      await calls.reach('guest.stat', signal);
      requireAbsolute(path);
      return files.stat(path);
    },

    async listDir({ signal }: CallContext, request: ListDirRequest) {
      await calls.reach('guest.list_dir', signal);
      requireAbsolute(request.path);
      const { depth, entriesMax } = request;
      if (depth < 1 || entriesMax < 1 || entriesMax > LIST_ENTRIES_MAX) {
        throw invalid('depth and entries_max have limits');
      }
      return files.list(request);
    },

    async makeDir({ signal }: CallContext, { path, user, mode }: MakeDirRequest) {
      await calls.reach('guest.make_dir', signal);
      requireAbsolute(path);
      return files.makeDirectory(path, user, mode);
    },

    async move({ signal }: CallContext, { source, destination, user }: MoveRequest) {
      await calls.reach('guest.move', signal);
      requireAbsolute(source);
      requireAbsolute(destination);
      return files.move(source, destination, user);
    },

    async remove({ signal }: CallContext, { path }: RemoveRequest) {
      await calls.reach('guest.remove', signal);
      requireAbsolute(path);
      await files.remove(path);
      return {};
    },

    async *watchDir({ signal }: CallContext, { path, recursive }: WatchDirRequest) {
      await calls.reach('guest.watch', signal);
      requireAbsolute(path);
      const watch = files.watch(path, recursive);
      yield* calls.follow((ended): AsyncIterable<FileEvent> => watch.events(ended), signal);
    },
  };
}

/** Takes all pieces of a file; what is more than the filesystem has room for is not taken. */
async function receive(files: FakeFiles, pieces: AsyncIterable<StreamWriteFileRequest>) {
  let first: StreamWriteFileRequest | undefined;
  const contents: Buffer[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    if (!first) requireAbsolute(piece.path);
    else if (piece.path !== '') throw invalid('the first message alone names the file');
    first ??= piece;
    bytes += piece.content.length;
    files.requireRoom(bytes);
    contents.push(piece.content);
  }
  if (!first) throw invalid('a file begins with a message that names it');
  const { path, user, mode } = first;
  return { path, user, mode, content: Buffer.concat(contents, bytes) };
}

function requireAbsolute(path: string): void {
  if (!path.startsWith('/') || path.includes('\0')) throw invalid('a path is absolute');
}

function invalid(message: string): WrennError {
  return new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', message);
}
