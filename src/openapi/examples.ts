/**
 * An example of each operation, by service and method: what a caller sends and
 * what it gets. A stream has a list of messages. A method whose body is a file
 * has none for it. A test holds each against its schema and against the gateway.
 */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';

export interface OperationExample {
  /** Values of parameters that differ from `PARAMETER_EXAMPLES`. */
  parameters?: Record<string, JsonValue>;
  /** The JSON body, or the messages of a conversation. */
  request?: JsonValue;
  /** The JSON answer, or the messages of a stream. */
  response?: JsonValue;
}

const SANDBOX_ID = 'q7hx2kfmzt3vdw5bn4jc6ryl8a';
const COPY_ID = 'b3nvz5tq8wkx2dcm7hfj4lry6e';
const PROCESS_ID = 'm4tz8xw2kqd6hv3bc7nf5jrl9g';
const SNAPSHOT_ID = 'w9cj4xbt2kqm7zvd5hn3fry6le';
const API_KEY_ID = 'k5dm7vzx3qwt9hbc2jn4fly8re';
const USER_ID = 'u2xk6wqz9tvm4hdb7cn3fjy5rl';
const TEAM_ID = 't8bv3mzx5kqw7hdc2nj4fry6le';
const HOST_ID = 'h6wz4xqk8tvm2bdc7nj3fry5le';

/** Parameters that mean the same in every operation. */
export const PARAMETER_EXAMPLES: Record<string, JsonValue> = {
  sandbox_id: SANDBOX_ID,
  process_id: PROCESS_ID,
  snapshot_id: SNAPSHOT_ID,
  api_key_id: API_KEY_ID,
  path: '/root/hello.txt',
  user: 'root',
  mode: 420,
  page_size: 20,
  page_token: '',
  depth: 1,
  offset: 0,
  recursive: true,
};

const sandbox: JsonObject = {
  sandbox_id: SANDBOX_ID,
  template: 'minimal',
  state: 'SANDBOX_STATE_RUNNING',
  state_reason: 'ERROR_REASON_UNSPECIFIED',
  vcpus: 1,
  memory_mb: 512,
  timeout_sec: 3600,
  metadata: { owner: 'ci' },
  guest_ip: '10.77.0.2',
  host_ip: '10.77.0.1',
  created_at: '2026-01-15T09:30:00Z',
  started_at: '2026-01-15T09:30:02.418Z',
  last_active_at: '2026-01-15T09:31:10Z',
  host_id: HOST_ID,
  on_timeout: 'TIMEOUT_ACTION_PAUSE',
};

const snapshot: JsonObject = {
  snapshot_id: SNAPSHOT_ID,
  name: 'with-python',
  type: 'SNAPSHOT_TYPE_SNAPSHOT',
  sandbox_id: SANDBOX_ID,
  vcpus: 1,
  memory_mb: 512,
  size_bytes: 73400320,
  created_at: '2026-01-15T09:40:00Z',
};

const session: JsonObject = {
  user: {
    user_id: USER_ID,
    email: 'ada@example.com',
    name: 'Ada',
    created_at: '2026-01-15T09:00:00Z',
    default_team_id: TEAM_ID,
  },
  team: { team_id: TEAM_ID, name: 'Ada' },
  access_token: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl',
  expires_at: '2026-01-15T15:00:00Z',
};

const apiKey: JsonObject = {
  api_key_id: API_KEY_ID,
  name: 'ci',
  key_prefix: 'wrn_4f7a',
  created_at: '2026-01-15T09:10:00Z',
};

const file: JsonObject = {
  name: 'hello.txt',
  path: '/root/hello.txt',
  type: 'FILE_TYPE_FILE',
  size_bytes: 6,
  mode: 420,
  permissions: '-rw-r--r--',
  owner: 'root',
  group: 'root',
  modified_at: '2026-01-15T09:32:00Z',
  symlink_target: '',
};

const directory: JsonObject = {
  ...file,
  name: 'project',
  path: '/root/project',
  type: 'FILE_TYPE_DIRECTORY',
  size_bytes: 4096,
  mode: 493,
  permissions: 'drwxr-xr-x',
};

const program: JsonObject = { cmd: 'sh', args: ['-c', 'echo hello; sleep 1'] };

const process: JsonObject = {
  process_id: PROCESS_ID,
  pid: 412,
  cmd: 'sh',
  args: ['-c', 'echo hello; sleep 1'],
  user: 'root',
  cwd: '/root',
  pty: false,
  started_at: '2026-01-15T09:33:00Z',
  first_offset: 0,
  next_offset: 6,
};

const exited: JsonObject = {
  exit_code: 0,
  signal: '',
  reason: 'EXIT_REASON_EXITED',
  duration_ms: 1004.2,
};

/** What a program does that prints `hello` and ends. */
const processEvents: JsonObject[] = [
  { started: { process_id: PROCESS_ID, pid: 412 } },
  { stdout: { offset: 0, data: 'aGVsbG8K' } },
  { exited },
];

const fileEvent = { path: '/root/hello.txt', old_path: '', is_directory: false };

export const EXAMPLES: ReadonlyMap<string, OperationExample> = new Map(
  Object.entries({
    'AuthService.SignUp': {
      request: { email: 'ada@example.com', password: 'correct horse battery', name: 'Ada' },
      response: session,
    },
    'AuthService.LogIn': {
      request: { email: 'ada@example.com', password: 'correct horse battery' },
      response: session,
    },
    'AuthService.GetMe': { response: session.user as JsonObject },

    'ApiKeyService.CreateApiKey': {
      request: { name: 'ci' },
      response: { api_key: apiKey, key: 'wrn_4f7a9c2e8b1d6035' },
    },
    'ApiKeyService.ListApiKeys': {
      response: {
        api_keys: [{ ...apiKey, last_used: '2026-01-15T09:31:00Z' }],
        next_page_token: '',
      },
    },
    'ApiKeyService.DeleteApiKey': { response: {} },

    'SandboxService.CreateSandbox': {
      request: {
        template: 'minimal',
        vcpus: 1,
        memory_mb: 512,
        timeout_sec: 3600,
        env: { LANG: 'C.UTF-8' },
        metadata: { owner: 'ci' },
        on_timeout: 'TIMEOUT_ACTION_PAUSE',
      },
      response: sandbox,
    },
    'SandboxService.GetSandbox': { response: sandbox },
    'SandboxService.ListSandboxes': {
      parameters: { states: ['SANDBOX_STATE_RUNNING'], metadata: ['owner=ci'] },
      response: { sandboxes: [sandbox], next_page_token: '' },
    },
    'SandboxService.DeleteSandbox': { response: {} },
    'SandboxService.PingSandbox': { request: {}, response: sandbox },
    'SandboxService.PauseSandbox': {
      request: {},
      response: {
        ...sandbox,
        state: 'SANDBOX_STATE_PAUSED',
        guest_ip: '',
        host_ip: '',
        paused_at: '2026-01-15T09:35:00Z',
      },
    },
    'SandboxService.ResumeSandbox': {
      request: { mode: 'RESUME_MODE_WARM' },
      response: {
        sandbox: { ...sandbox, paused_at: '2026-01-15T09:35:00Z' },
        steps: [{ name: 'wall_clock', duration_ms: 0.4 }],
      },
    },
    'SandboxService.SetSandboxTimeout': {
      request: { timeout_sec: 7200, on_timeout: 'TIMEOUT_ACTION_DELETE' },
      response: { ...sandbox, timeout_sec: 7200, on_timeout: 'TIMEOUT_ACTION_DELETE' },
    },
    'SandboxService.ForkSandbox': {
      request: { count: 2 },
      response: {
        results: [
          { sandbox: { ...sandbox, sandbox_id: COPY_ID, guest_ip: '10.77.0.6' } },
          {
            error: {
              code: 8,
              reason: 'ERROR_REASON_HOST_EXHAUSTED',
              message: 'the host has not enough memory for another sandbox',
            },
          },
        ],
      },
    },
    'SandboxService.ListGenerations': {
      response: {
        generations: [
          {
            generation_id: SNAPSHOT_ID,
            created_at: '2026-01-15T09:35:00Z',
            memory_bytes: 73400320,
            disk_bytes: 1048576,
          },
        ],
      },
    },
    'SandboxService.VerifyGeneration': {
      request: {},
      response: { generation_id: SNAPSHOT_ID, verified_bytes: 74448896 },
    },

    'SnapshotService.CreateSnapshot': {
      request: { sandbox_id: SANDBOX_ID, name: 'with-python' },
      response: snapshot,
    },
    'SnapshotService.GetSnapshot': { response: snapshot },
    'SnapshotService.ListSnapshots': { response: { snapshots: [snapshot], next_page_token: '' } },
    'SnapshotService.DeleteSnapshot': { response: {} },

    'ProcessService.Exec': {
      request: { cmd: 'echo', args: ['hello'], timeout_sec: 30, env: { LANG: 'C.UTF-8' } },
      response: {
        stdout: 'aGVsbG8K',
        stderr: '',
        stdout_text: 'hello\n',
        stderr_text: '',
        stdout_truncated: false,
        stderr_truncated: false,
        exit_code: 0,
        signal: '',
        duration_ms: 3.7,
      },
    },
    'ProcessService.ExecStream': {
      request: [{ start: program }, { stdin: 'aGVsbG8K' }, { close_stdin: {} }],
      response: processEvents,
    },
    'ProcessService.Start': { request: program, response: process },
    'ProcessService.Attach': { response: processEvents },
    'ProcessService.ListProcesses': { response: { processes: [{ ...process, exited }] } },
    'ProcessService.SendSignal': { request: { signal: 'SIGNAL_TERM' }, response: {} },
    'ProcessService.SendInput': { request: { input: 'aGVsbG8K' }, response: {} },
    'ProcessService.CloseStdin': { request: {}, response: {} },

    'FileService.WriteFile': {
      request: { path: '/root/hello.txt', file: 'aGVsbG8K' },
      response: { path: '/root/hello.txt', size_bytes: 6 },
    },
    'FileService.ReadFile': { request: { path: '/root/hello.txt' } },
    'FileService.StreamWriteFile': { response: { path: '/root/hello.txt', size_bytes: 6 } },
    'FileService.StreamReadFile': { request: { path: '/root/hello.txt' } },
    'FileService.Stat': { response: file },
    'FileService.ListDir': {
      parameters: { path: '/root', page_size: 100 },
      response: { entries: [file, directory], next_page_token: '' },
    },
    'FileService.MakeDir': {
      request: { path: '/root/project', user: 'root', mode: 493 },
      response: directory,
    },
    'FileService.Move': {
      request: { source: '/root/draft.txt', destination: '/root/hello.txt' },
      response: file,
    },
    'FileService.Remove': { request: { path: '/root/hello.txt' }, response: {} },
    'FileService.WatchDir': {
      parameters: { path: '/root' },
      response: [
        { ...fileEvent, type: 'FILE_EVENT_TYPE_READY', path: '/root', is_directory: true },
        { ...fileEvent, type: 'FILE_EVENT_TYPE_CREATE' },
      ],
    },
  } satisfies Record<string, OperationExample>),
);
