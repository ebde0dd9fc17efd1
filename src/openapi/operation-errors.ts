/** Which errors a method answers with: some follow from its shape, the others stand in a table. */
import type { Reason } from '../../lib/errors/index.js';
import type { Operation } from './operations.js';

const ALWAYS: Reason[] = [
  ...(['INVALID_REQUEST', 'CANCELLED', 'OVERLOADED', 'INTERNAL'] as const),
  ...(['SHUTTING_DOWN', 'DATABASE_UNAVAILABLE'] as const),
];
const WITH_BODY: Reason[] = ['INVALID_JSON', 'BODY_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'];

/** What a call meets that goes to the host of a sandbox. */
const ON_HOST: Reason[] = [
  ...(['SANDBOX_NOT_FOUND', 'SANDBOX_STATE', 'SANDBOX_TIMEOUT', 'SANDBOX_LOST'] as const),
  ...(['VMM_EXITED', 'HOST_UNAVAILABLE', 'DISK_FULL'] as const),
];
/** What a call meets that goes into a sandbox. */
const IN_GUEST: Reason[] = [...ON_HOST, 'GUEST_UNREACHABLE', 'GUEST_TOO_OLD'];
/** What a call meets that changes the state of a sandbox. */
const CHANGE: Reason[] = [...ON_HOST, 'SANDBOX_CONFLICT', 'STALE_GENERATION'];
const NO_ROOM: Reason[] = ['HOST_EXHAUSTED', 'NETWORK_EXHAUSTED', 'HOST_DISK_FULL'];
const RESTORE: Reason[] = [
  ...(['SNAPSHOT_DAMAGED', 'SNAPSHOT_INCOMPATIBLE', 'RESTORE_FAILED'] as const),
  ...(['BOOT_TIMEOUT', 'VMM_FAILED', 'GUEST_UNREACHABLE'] as const),
];
const START_PROGRAM: Reason[] = [...IN_GUEST, 'COMMAND_NOT_FOUND', 'COMMAND_NOT_STARTED'];
const ON_PROCESS: Reason[] = [...IN_GUEST, 'PROCESS_NOT_FOUND'];
const ON_FILE: Reason[] = [...IN_GUEST, 'FILE_NOT_FOUND', 'FILE_NOT_USABLE'];
const NEW_FILE: Reason[] = [...IN_GUEST, 'FILE_NOT_USABLE', 'GUEST_DISK_FULL'];

const BY_METHOD: Record<string, Reason[]> = {
  'AuthService.SignUp': ['EMAIL_TAKEN', 'TOO_MANY_LOGINS'],
  'AuthService.LogIn': ['LOGIN_FAILED', 'TOO_MANY_LOGINS'],
  'ApiKeyService.CreateApiKey': ['API_KEY_LIMIT'],
  'ApiKeyService.DeleteApiKey': ['API_KEY_NOT_FOUND'],
  'SandboxService.CreateSandbox': [
    ...NO_ROOM,
    ...RESTORE,
    ...(['TEMPLATE_NOT_FOUND', 'SNAPSHOT_SHAPE', 'SANDBOX_LIMIT', 'SANDBOX_EXISTS'] as const),
    ...(['SANDBOX_CONFLICT', 'HOST_UNAVAILABLE'] as const),
  ],
  'SandboxService.GetSandbox': ['SANDBOX_NOT_FOUND'],
  'SandboxService.DeleteSandbox': CHANGE,
  'SandboxService.PingSandbox': ON_HOST,
  'SandboxService.PauseSandbox': [...CHANGE, 'PAUSE_FAILED', 'HOST_DISK_FULL'],
  'SandboxService.ResumeSandbox': [...CHANGE, ...NO_ROOM, ...RESTORE],
  'SandboxService.SetSandboxTimeout': CHANGE,
  'SandboxService.ForkSandbox': [
    ...CHANGE,
    ...NO_ROOM,
    ...RESTORE,
    ...(['PAUSE_FAILED', 'SANDBOX_LIMIT'] as const),
  ],
  'SandboxService.ListGenerations': ON_HOST,
  'SandboxService.VerifyGeneration': [...ON_HOST, 'SNAPSHOT_DAMAGED'],
  'SnapshotService.CreateSnapshot': [
    ...CHANGE,
    ...(['SNAPSHOT_EXISTS', 'SNAPSHOT_LIMIT', 'SNAPSHOT_DAMAGED'] as const),
    ...(['PAUSE_FAILED', 'HOST_DISK_FULL'] as const),
  ],
  'SnapshotService.GetSnapshot': ['SNAPSHOT_NOT_FOUND'],
  'SnapshotService.DeleteSnapshot': ['SNAPSHOT_NOT_FOUND', 'SNAPSHOT_IN_USE', 'HOST_UNAVAILABLE'],
  'ProcessService.Exec': [...START_PROGRAM, 'COMMAND_TIMEOUT'],
  'ProcessService.ExecStream': [
    ...START_PROGRAM,
    ...(['PROCESS_NOT_FOUND', 'PROCESS_STATE', 'OUTPUT_OUT_OF_RANGE'] as const),
  ],
  'ProcessService.Start': START_PROGRAM,
  'ProcessService.Attach': [...ON_PROCESS, 'OUTPUT_OUT_OF_RANGE'],
  'ProcessService.ListProcesses': IN_GUEST,
  'ProcessService.SendSignal': [...ON_PROCESS, 'PROCESS_STATE'],
  'ProcessService.SendInput': [...ON_PROCESS, 'PROCESS_STATE'],
  'ProcessService.CloseStdin': [...ON_PROCESS, 'PROCESS_STATE'],
  'FileService.WriteFile': [...NEW_FILE, 'STREAM_LIMIT'],
  'FileService.ReadFile': [...ON_FILE, 'FILE_TOO_LARGE'],
  'FileService.StreamWriteFile': NEW_FILE,
  'FileService.StreamReadFile': ON_FILE,
  'FileService.Stat': ON_FILE,
  'FileService.ListDir': [...ON_FILE, 'FILE_TOO_LARGE'],
  'FileService.MakeDir': [...NEW_FILE, 'FILE_EXISTS'],
  'FileService.Move': [...ON_FILE, 'FILE_EXISTS', 'GUEST_DISK_FULL'],
  'FileService.Remove': ON_FILE,
  'FileService.WatchDir': ON_FILE,
};

/** The reasons of an operation's errors, each once. */
export function reasonsOf({ name, kind, credential, route }: Operation): Reason[] {
  const reasons = new Set([...ALWAYS, ...(BY_METHOD[name] ?? [])]);
  if (route.body.kind !== 'none') for (const reason of WITH_BODY) reasons.add(reason);
  if (credential !== 'none') reasons.add('CREDENTIAL_MISSING').add('CREDENTIAL_INVALID');
  if (credential === 'user') reasons.add('CREDENTIAL_EXPIRED');
  if (kind !== 'unary') reasons.add('STREAM_LIMIT');
  if (kind === 'bidi_streaming') reasons.add('ORIGIN_NOT_ALLOWED');
  return [...reasons];
}

/** The methods that stand in the table, for the check that each of them exists. */
export const METHODS_WITH_ERRORS = Object.keys(BY_METHOD);
