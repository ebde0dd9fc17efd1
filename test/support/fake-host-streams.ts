/**
 * The calls about programs and files of the host agent in memory. Its one
 * program prints what it is sent and ends with its input; its files are those
 * of the agent.
 */
import type { HostAgentServiceService } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import {
  FileEventType,
  type FileInfo,
  FileType,
  type StreamWriteFileRequest,
} from '../../gen/ts/wrenn/v1/file.js';
import {
  type ExecStreamRequest,
  ExitReason,
  type Process,
  type ProcessEvent,
} from '../../gen/ts/wrenn/v1/process.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { guestFailure } from '../../lib/guest/guest-failure.js';
import type { Handlers } from '../../lib/rpc/service.js';

/** Id of the one program that every sandbox has. */
export const PROCESS_ID = 'process1';

export interface FakeStreamParts {
  /** @throws when the sandbox does not run. */
  requireRunning: (sandboxId: string) => void;
  /** By `<sandbox id>:<path>`. */
  files: Map<string, Buffer>;
}

type AgentHandlers = Handlers<typeof HostAgentServiceService, undefined>;

export function processStreamHandlers({ requireRunning }: FakeStreamParts) {
  return {
    execStream: (_context, requests) => echo(requests, requireRunning),
    start: async (_context, { sandboxId }) => {
      requireRunning(sandboxId);
      return program();
    },
    attach: async function* (_context, { sandboxId, processId }) {
      requireProcess(sandboxId, processId);
      yield started();
      yield exited();
    },
    listProcesses: async (_context, { sandboxId }) => {
      requireRunning(sandboxId);
      return { processes: [program()] };
    },
    sendSignal: async (_context, { sandboxId, processId }) => {
      requireProcess(sandboxId, processId);
      return {};
    },
    sendInput: async (_context, { sandboxId, processId }) => {
      requireProcess(sandboxId, processId);
      return {};
    },
    closeStdin: async (_context, { sandboxId, processId }) => {
      requireProcess(sandboxId, processId);
      return {};
    },
  } satisfies Partial<AgentHandlers>;

  function requireProcess(sandboxId: string, processId: string): void {
    requireRunning(sandboxId);
    if (processId !== PROCESS_ID) throw guestFailure('process_not_found');
  }
}

export function fileStreamHandlers({ requireRunning, files }: FakeStreamParts) {
  const find = (sandboxId: string, path: string): Buffer => {
    requireRunning(sandboxId);
    const content = files.get(`${sandboxId}:${path}`);
    if (!content) throw new WrennError(Code.NOT_FOUND, 'FILE_NOT_FOUND', 'agent text');
    return content;
  };
  const describe = (sandboxId: string, path: string) =>
    fileInfo(path, find(sandboxId, path).length);
  return {
    streamWriteFile: async (_context, requests) => {
      const { sandboxId, path, content } = await collect(requests);
      requireRunning(sandboxId);
      files.set(`${sandboxId}:${path}`, content);
      return { path, sizeBytes: content.length };
    },
    streamReadFile: async function* (_context, { sandboxId, path }) {
      const data = find(sandboxId, path);
      yield { contentType: 'application/octet-stream', data, extensions: [] };
    },
    stat: async (_context, { sandboxId, path }) => describe(sandboxId, path),
    listDir: async (_context, { sandboxId }) => {
      requireRunning(sandboxId);
      const own = [...files.keys()].filter((key) => key.startsWith(`${sandboxId}:`));
      const paths = own.map((key) => key.slice(sandboxId.length + 1)).sort();
      return { entries: paths.map((path) => describe(sandboxId, path)), nextPageToken: '' };
    },
    makeDir: async (_context, { sandboxId, path }) => {
      requireRunning(sandboxId);
      return fileInfo(path, 0, FileType.FILE_TYPE_DIRECTORY);
    },
    move: async (_context, { sandboxId, source, destination }) => {
      files.set(`${sandboxId}:${destination}`, find(sandboxId, source));
      files.delete(`${sandboxId}:${source}`);
      return describe(sandboxId, destination);
    },
    remove: async (_context, { sandboxId, path }) => {
      find(sandboxId, path);
      files.delete(`${sandboxId}:${path}`);
      return {};
    },
    watchDir: async function* (_context, { sandboxId, path }) {
      requireRunning(sandboxId);
      const type = FileEventType.FILE_EVENT_TYPE_READY;
      yield { type, path, oldPath: '', isDirectory: true };
    },
  } satisfies Partial<AgentHandlers>;
}

async function* echo(
  requests: AsyncIterable<ExecStreamRequest>,
  requireRunning: (sandboxId: string) => void,
): AsyncGenerator<ProcessEvent> {
  let offset = 0;
  for await (const { sandboxId, message } of requests) {
    if (sandboxId !== '') {
      requireRunning(sandboxId);
      yield started();
    }
    if (message?.$case === 'closeStdin') break;
    if (message?.$case !== 'stdin') continue;
    yield { event: { $case: 'stdout', value: { offset, data: message.value } } };
    offset += message.value.length;
  }
  yield exited();
}

function started(): ProcessEvent {
  return { event: { $case: 'started', value: { processId: PROCESS_ID, pid: 7 } } };
}

function exited(): ProcessEvent {
  const reason = ExitReason.EXIT_REASON_EXITED;
  return {
    event: { $case: 'exited', value: { exitCode: 0, signal: '', reason, durationMs: 1 } },
  };
}

function program(): Process {
  return {
    ...{ processId: PROCESS_ID, pid: 7, cmd: 'cat', args: [], user: 'root', cwd: '/', pty: false },
    ...{ startedAt: undefined, exited: undefined, firstOffset: 0, nextOffset: 0 },
  };
}

function fileInfo(path: string, sizeBytes: number, type = FileType.FILE_TYPE_FILE): FileInfo {
  return {
    ...{ path, type, sizeBytes, name: path.split('/').at(-1) ?? '', mode: 0o644 },
    ...{ permissions: '-rw-r--r--', owner: 'root', group: 'root', symlinkTarget: '' },
    modifiedAt: undefined,
  };
}

async function collect(requests: AsyncIterable<StreamWriteFileRequest>) {
  let sandboxId = '';
  let path = '';
  const pieces: Buffer[] = [];
  for await (const request of requests) {
    sandboxId ||= request.sandboxId;
    path ||= request.path;
    if (request.file) pieces.push(request.file.data);
  }
  return { sandboxId, path, content: Buffer.concat(pieces) };
}
