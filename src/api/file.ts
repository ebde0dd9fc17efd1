/** FileService. */
import type { FileServiceService } from '../../gen/ts/wrenn/v1/file.js';
import type { FileOperations } from '../app/file.js';
import { teamOf } from '../auth/principal.js';
import type { PublicHandlers } from './handlers.js';
import { streamCaller } from './stream-caller.js';

export function fileHandlers(files: FileOperations): PublicHandlers<typeof FileServiceService> {
  return {
    writeFile: ({ principal, signal }, request) => files.write(teamOf(principal), request, signal),
    readFile: ({ principal, signal }, request) => files.read(teamOf(principal), request, signal),

    streamWriteFile: (context, requests) => files.streamWrite(streamCaller(context), requests),
    streamReadFile: (context, request) => files.streamRead(streamCaller(context), request),

    stat: ({ principal, signal }, request) => files.stat(teamOf(principal), request, signal),

    listDir: ({ principal, signal }, request) => files.list(teamOf(principal), request, signal),

    makeDir: ({ principal, signal }, request) =>
      files.makeDirectory(teamOf(principal), request, signal),

    move: ({ principal, signal }, request) => files.move(teamOf(principal), request, signal),

    remove: async ({ principal, signal }, request) => {
      await files.remove(teamOf(principal), request, signal);
      return {};
    },

    watchDir: (context, request) => files.watch(streamCaller(context), request),
  };
}
