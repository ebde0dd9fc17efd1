/** One call of every method of the public API, and who may make it. */
import { Signal } from '../../gen/ts/wrenn/v1/process.js';
import { ResumeMode, TimeoutAction } from '../../gen/ts/wrenn/v1/sandbox.js';
import type { Reason } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import type { ClientCallOptions } from '../../lib/rpc/client.js';
import {
  type Account,
  type Clients,
  PASSWORD,
  plainSandbox,
  sandboxPage,
} from '../support/control-plane.js';
import { PROCESS_ID } from '../support/fake-host-streams.js';

export interface Row {
  credential: 'none' | 'user' | 'api key';
  /** What a caller of another team gets for this team's object; `own things` when the call names none. */
  foreign: Reason | 'own things';
  call: (clients: Clients, options: ClientCallOptions, target: Target) => Promise<unknown>;
}

/** Things of the account whose objects the calls name. */
export interface Target {
  account: Account;
  sandboxId: string;
  apiKeyId: string;
  snapshotId: string;
}

export const PAGE = { pageSize: 0, pageToken: '' };

const PROGRAM = {
  ...{ cmd: 'cat', args: [], env: {}, cwd: '', user: '', timeoutSec: 0 },
  ...{ pty: undefined, closeStdin: true },
};
const FILE = { contentType: '', data: Buffer.from('x'), extensions: [] };

export const ROWS: Record<string, Row> = {
  'AuthService.SignUp': {
    ...{ credential: 'none', foreign: 'own things' },
    call: ({ auth }, options) =>
      auth.signUp({ email: `${randomId(12)}@example.com`, password: PASSWORD, name: '' }, options),
  },
  'AuthService.LogIn': {
    ...{ credential: 'none', foreign: 'own things' },
    call: ({ auth }, options, { account }) =>
      auth.logIn({ email: account.email, password: PASSWORD }, options),
  },
  'AuthService.GetMe': {
    ...{ credential: 'user', foreign: 'own things' },
    call: ({ auth }, options) => auth.getMe({}, options),
  },
  'ApiKeyService.CreateApiKey': {
    ...{ credential: 'user', foreign: 'own things' },
    call: ({ apiKeys }, options) => apiKeys.createApiKey({ name: '' }, options),
  },
  'ApiKeyService.ListApiKeys': {
    ...{ credential: 'user', foreign: 'own things' },
    call: ({ apiKeys }, options) => apiKeys.listApiKeys(PAGE, options),
  },
  'ApiKeyService.DeleteApiKey': {
    ...{ credential: 'user', foreign: 'API_KEY_NOT_FOUND' },
    call: ({ apiKeys }, options, { apiKeyId }) => apiKeys.deleteApiKey({ apiKeyId }, options),
  },
  'SandboxService.CreateSandbox': {
    ...{ credential: 'api key', foreign: 'own things' },
    call: ({ sandboxes }, options) => sandboxes.createSandbox(plainSandbox(), options),
  },
  'SandboxService.GetSandbox': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ sandboxes }, options, { sandboxId }) => sandboxes.getSandbox({ sandboxId }, options),
  },
  'SandboxService.ListSandboxes': {
    ...{ credential: 'api key', foreign: 'own things' },
    call: ({ sandboxes }, options) => sandboxes.listSandboxes(sandboxPage(), options),
  },
  'SandboxService.DeleteSandbox': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ sandboxes }, options, { sandboxId }) =>
      sandboxes.deleteSandbox({ sandboxId }, options),
  },
  'SandboxService.PingSandbox': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ sandboxes }, options, { sandboxId }) => sandboxes.pingSandbox({ sandboxId }, options),
  },
  'SandboxService.PauseSandbox': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ sandboxes }, options, { sandboxId }) => sandboxes.pauseSandbox({ sandboxId }, options),
  },
  'SandboxService.ResumeSandbox': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ sandboxes }, options, { sandboxId }) =>
      sandboxes.resumeSandbox({ sandboxId, mode: ResumeMode.RESUME_MODE_UNSPECIFIED }, options),
  },
  'SandboxService.SetSandboxTimeout': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ sandboxes }, options, { sandboxId }) =>
      sandboxes.setSandboxTimeout(
        { sandboxId, timeoutSec: 60, onTimeout: TimeoutAction.TIMEOUT_ACTION_UNSPECIFIED },
        options,
      ),
  },
  'SandboxService.ForkSandbox': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ sandboxes }, options, { sandboxId }) =>
      sandboxes.forkSandbox({ sandboxId, count: 1 }, options),
  },
  'SandboxService.ListGenerations': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ sandboxes }, options, { sandboxId }) =>
      sandboxes.listGenerations({ sandboxId }, options),
  },
  'SandboxService.VerifyGeneration': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ sandboxes }, options, { sandboxId }) =>
      sandboxes.verifyGeneration({ sandboxId }, options),
  },
  'SnapshotService.CreateSnapshot': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ snapshots }, options, { sandboxId }) =>
      snapshots.createSnapshot({ sandboxId, name: '' }, options),
  },
  'SnapshotService.GetSnapshot': {
    ...{ credential: 'api key', foreign: 'SNAPSHOT_NOT_FOUND' },
    call: ({ snapshots }, options, { snapshotId }) =>
      snapshots.getSnapshot({ snapshotId }, options),
  },
  'SnapshotService.ListSnapshots': {
    ...{ credential: 'api key', foreign: 'own things' },
    call: ({ snapshots }, options) => snapshots.listSnapshots(PAGE, options),
  },
  'SnapshotService.DeleteSnapshot': {
    ...{ credential: 'api key', foreign: 'SNAPSHOT_NOT_FOUND' },
    call: ({ snapshots }, options, { snapshotId }) =>
      snapshots.deleteSnapshot({ snapshotId }, options),
  },
  'ProcessService.Exec': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ processes }, options, { sandboxId }) => {
      const nothing = { args: [], timeoutSec: 0, env: {}, cwd: '', user: '' };
      return processes.exec({ sandboxId, cmd: 'id', ...nothing, stdin: Buffer.alloc(0) }, options);
    },
  },
  'FileService.WriteFile': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ files }, options, { sandboxId }) =>
      files.writeFile(
        { sandboxId, path: '/f', file: Buffer.from('x'), user: '', mode: 0 },
        options,
      ),
  },
  'FileService.ReadFile': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ files }, options, { sandboxId }) =>
      files.readFile({ sandboxId, path: '/there' }, options),
  },
  'ProcessService.ExecStream': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ processes }, options, { sandboxId }) =>
      collect(
        processes.execStream(
          once({ sandboxId, message: { $case: 'start', value: PROGRAM } }),
          options,
        ),
      ),
  },
  'ProcessService.Start': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ processes }, options, { sandboxId }) =>
      processes.start({ sandboxId, process: PROGRAM }, options),
  },
  'ProcessService.Attach': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ processes }, options, { sandboxId }) =>
      collect(processes.attach({ sandboxId, processId: PROCESS_ID }, options)),
  },
  'ProcessService.ListProcesses': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ processes }, options, { sandboxId }) =>
      processes.listProcesses({ sandboxId }, options),
  },
  'ProcessService.SendSignal': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ processes }, options, { sandboxId }) =>
      processes.sendSignal(
        { sandboxId, processId: PROCESS_ID, signal: Signal.SIGNAL_TERM },
        options,
      ),
  },
  'ProcessService.SendInput': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ processes }, options, { sandboxId }) =>
      processes.sendInput({ sandboxId, processId: PROCESS_ID, input: Buffer.from('x') }, options),
  },
  'ProcessService.CloseStdin': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ processes }, options, { sandboxId }) =>
      processes.closeStdin({ sandboxId, processId: PROCESS_ID }, options),
  },
  'FileService.StreamWriteFile': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ files }, options, { sandboxId }) =>
      files.streamWriteFile(
        once({ sandboxId, path: '/f', user: '', mode: 0, file: FILE }),
        options,
      ),
  },
  'FileService.StreamReadFile': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ files }, options, { sandboxId }) =>
      collect(files.streamReadFile({ sandboxId, path: '/there' }, options)),
  },
  'FileService.Stat': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ files }, options, { sandboxId }) => files.stat({ sandboxId, path: '/there' }, options),
  },
  'FileService.ListDir': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ files }, options, { sandboxId }) =>
      files.listDir({ sandboxId, path: '/', depth: 0, ...PAGE }, options),
  },
  'FileService.MakeDir': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ files }, options, { sandboxId }) =>
      files.makeDir({ sandboxId, path: '/d', user: '', mode: 0 }, options),
  },
  'FileService.Move': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ files }, options, { sandboxId }) =>
      files.move({ sandboxId, source: '/there', destination: '/f', user: '' }, options),
  },
  'FileService.Remove': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ files }, options, { sandboxId }) =>
      files.remove({ sandboxId, path: '/there' }, options),
  },
  'FileService.WatchDir': {
    ...{ credential: 'api key', foreign: 'SANDBOX_NOT_FOUND' },
    call: ({ files }, options, { sandboxId }) =>
      collect(files.watchDir({ sandboxId, path: '/', recursive: false }, options)),
  },
};

async function* once<T>(message: T): AsyncGenerator<T> {
  yield message;
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of stream) all.push(message);
  return all;
}
