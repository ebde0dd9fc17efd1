/** FilesystemService: reads and writes files of the guest, and tells what is there. */
import type {
  FilesystemServiceService,
  StreamWriteFileRequest,
} from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { guestFailure } from '../../lib/guest/guest-failure.js';
import type { Handlers } from '../../lib/rpc/service.js';
import { type Account, findAccount } from '../accounts.js';
import { fileFailure } from './file-failure.js';
import { readFileInfo, readFollowedFileInfo } from './file-info.js';
import { listDirectory } from './list-directory.js';
import { makeNamedDirectory } from './make-directories.js';
import { move } from './move.js';
import { readPieces, readWholeFile } from './read-file.js';
import { remove } from './remove.js';
import type { TemporaryFiles } from './temporary-files.js';
import type { DirectoryWatches } from './watch-directory.js';
import { type NewFile, type Pieces, writeWholeFile } from './write-file.js';

/** Largest file in bytes that one message carries, whatever a caller would take. */
const READ_BYTES_MAX = 6 * 1024 * 1024;
const DEFAULT_USER = 'root';
const MODE_MAX = 0o7777;
/** Longest path that the kernel takes, without the zero byte at its end. */
const PATH_BYTES_MAX = 4095;

export interface FilesystemServiceOptions {
  temporaryFiles: TemporaryFiles;
  watches: DirectoryWatches;
}

export function filesystemHandlers({
  temporaryFiles,
  watches,
}: FilesystemServiceOptions): Handlers<typeof FilesystemServiceService, undefined> {
  const write = async (file: FileFields, pieces: Pieces) =>
    writeWholeFile(temporaryFiles, await toNewFile(file), pieces);
  return {
    writeFile: (_context, request) =>
      named('file_not_usable', async () => {
        return { sizeBytes: await write(request, [request.content]) };
      }),

    readFile: (_context, { path, sizeBytesMax }) =>
      named('file_not_found', async () => {
        requireUsable(path);
        return { content: await readWholeFile(path, Math.min(sizeBytesMax, READ_BYTES_MAX)) };
      }),

    streamWriteFile: (_context, requests) =>
      named('file_not_usable', async () => {
        const { first, pieces } = await splitFirst(requests);
        return { sizeBytes: await write(first, pieces) };
      }),

    streamReadFile: (_context, { path }) =>
      namedStream(async function* () {
        requireUsable(path);
        for await (const content of readPieces(path)) yield { content };
      }),

    stat: (_context, { path }) =>
      named('file_not_found', async () => {
        requireUsable(path);
        return readFileInfo(path);
      }),

    listDir: ({ signal }, request) =>
      named('file_not_found', async () => {
        requireUsable(request.path);
        return listDirectory(request, signal);
      }),

    makeDir: (_context, { path, user, mode }) =>
      named('file_not_usable', async () => {
        requireUsable(path);
        requireMode(mode);
        const owner = await ownerOf(user);
        await makeNamedDirectory(path, { owner, ...(mode === 0 ? {} : { mode }) });
        return readFollowedFileInfo(path);
      }),

    move: (_context, { source, destination, user }) =>
      named('file_not_found', async () => {
        requireUsable(source);
        requireUsable(destination);
        await move(source, destination, await ownerOf(user));
        return readFileInfo(destination);
      }),

    remove: ({ signal }, { path }) =>
      named('file_not_found', async () => {
        requireUsable(path);
        await remove(path, signal);
        return {};
      }),

    watchDir: ({ signal }, request) =>
      namedStream(async function* () {
        requireUsable(request.path);
        yield* watches.watch(request, signal);
      }),
  };
}

type FileFields = Pick<StreamWriteFileRequest, 'path' | 'user' | 'mode'>;

/** Names what goes wrong. @param absent what it means that there is no such file. */
async function named<T>(
  absent: 'file_not_found' | 'file_not_usable',
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw fileFailure(error, absent);
  }
}

async function* namedStream<T>(act: () => AsyncGenerator<T, void, void>): AsyncGenerator<T> {
  try {
    yield* act();
  } catch (error) {
    throw fileFailure(error, 'file_not_found');
  }
}

/** Takes the first message, which names the file, off a stream of its content. */
async function splitFirst(
  requests: AsyncIterable<StreamWriteFileRequest>,
): Promise<{ first: FileFields; pieces: Pieces }> {
  const messages = requests[Symbol.asyncIterator]();
  const { value: first, done } = await messages.next();
  if (done || !first) throw invalid('a file has a first message');
  async function* pieces(): AsyncGenerator<Uint8Array, void, void> {
    yield first.content;
    for await (const { path, user, mode, content } of { [Symbol.asyncIterator]: () => messages }) {
      if (path || user || mode) throw invalid('only the first message of a file has fields');
      yield content;
    }
  }
  return { first, pieces: pieces() };
}

async function toNewFile({ path, user, mode }: FileFields): Promise<NewFile> {
  requireUsable(path);
  requireMode(mode);
  return { path, mode, owner: await ownerOf(user) };
}

async function ownerOf(user: string): Promise<Account> {
  const account = await findAccount(user || DEFAULT_USER);
  if (!account) throw guestFailure('file_user_unknown');
  return account;
}

function requireUsable(path: string): void {
  if (!path.startsWith('/') || path.includes('\0')) throw invalid('a path is absolute');
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) throw guestFailure('file_path');
}

function requireMode(mode: number): void {
  if (mode > MODE_MAX) throw invalid('permission bits are at most octal 7777');
}

function invalid(message: string): WrennError {
  return new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', message);
}
