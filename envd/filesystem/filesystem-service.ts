/** FilesystemService: reads and writes files of the guest. */
import type {
  FilesystemServiceService,
  ReadFileRequest,
  WriteFileRequest,
} from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { guestFailure } from '../../lib/guest/guest-failure.js';
import type { CallContext } from '../../lib/rpc/call-context.js';
import type { Handlers } from '../../lib/rpc/service.js';
import { findAccount } from '../accounts.js';
import { fileFailure } from './file-failure.js';
import { readWholeFile } from './read-file.js';
import { writeWholeFile } from './write-file.js';

/** Largest file in bytes that one message carries, whatever a caller would take. */
const READ_BYTES_MAX = 6 * 1024 * 1024;
const DEFAULT_USER = 'root';

export function filesystemHandlers(): Handlers<typeof FilesystemServiceService, undefined> {
  return {
    async writeFile(_context: CallContext, request: WriteFileRequest) {
      requireAbsolute(request.path);
      try {
        const owner = await findAccount(request.user || DEFAULT_USER);
        if (!owner) throw guestFailure('file_user_unknown');
        const { path, content, mode } = request;
        await writeWholeFile({ path, content, owner, mode });
      } catch (error) {
        throw fileFailure(error, 'file_not_usable');
      }
      return { sizeBytes: request.content.length };
    },

    async readFile(_context: CallContext, request: ReadFileRequest) {
      requireAbsolute(request.path);
      try {
        const sizeBytesMax = Math.min(request.sizeBytesMax, READ_BYTES_MAX);
        return { content: await readWholeFile(request.path, sizeBytesMax) };
      } catch (error) {
        throw fileFailure(error, 'file_not_found');
      }
    },
  };
}

function requireAbsolute(path: string): void {
  if (path.startsWith('/') && !path.includes('\0')) return;
  throw new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', 'a path is absolute');
}
