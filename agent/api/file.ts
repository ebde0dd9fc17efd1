/** The handlers of the host agent's calls about files. */
import type { HostAgentServiceService } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import type { Handlers } from '../../lib/rpc/service.js';
import type { Files } from '../sandbox/files.js';
import { toFileEvent, toFileInfo } from './file-message.js';

const CONTENT_TYPE = 'application/octet-stream';

type FileHandlers = Pick<
  Handlers<typeof HostAgentServiceService, undefined>,
  | 'streamWriteFile'
  | 'streamReadFile'
  | 'stat'
  | 'listDir'
  | 'makeDir'
  | 'move'
  | 'remove'
  | 'watchDir'
>;

export function fileHandlers(files: Files): FileHandlers {
  return {
    streamWriteFile: async ({ signal }, requests) => files.write(requests, signal),
    streamReadFile: async function* ({ signal }, { sandboxId, path }) {
      // An empty file has an answer, too.
      let contentType = CONTENT_TYPE;
      for await (const data of files.read(sandboxId, path, signal)) {
        yield { contentType, data, extensions: [] };
        contentType = '';
      }
      if (contentType !== '') yield { contentType, data: Buffer.alloc(0), extensions: [] };
    },
    stat: async ({ signal }, { sandboxId, path }) =>
      toFileInfo(await files.stat(sandboxId, path, signal)),
    listDir: async ({ signal }, request) => {
      const { entries, nextPageToken } = await files.list(request, signal);
      return { entries: entries.map(toFileInfo), nextPageToken };
    },
    makeDir: async ({ signal }, request) => toFileInfo(await files.makeDirectory(request, signal)),
    move: async ({ signal }, request) => toFileInfo(await files.move(request, signal)),
    remove: async ({ signal }, { sandboxId, path }) => {
      await files.remove(sandboxId, path, signal);
      return {};
    },
    watchDir: async function* ({ signal }, request) {
      for await (const event of files.watch(request, signal)) yield toFileEvent(event);
    },
  };
}
