/**
 * @wrenn/client: a thin, typed client of Wrenn's public gRPC API. It stands on
 * the generated stubs and grpc-js alone.
 */
export type { ApiKey, CreateApiKeyResponse } from '../../gen/ts/wrenn/v1/api_key.js';
export type { Session, Team, User } from '../../gen/ts/wrenn/v1/auth.js';
export { ErrorReason } from '../../gen/ts/wrenn/v1/errors.js';
export {
  type FileEvent,
  FileEventType,
  type FileInfo,
  FileType,
} from '../../gen/ts/wrenn/v1/file.js';
export {
  ExitReason,
  type Process,
  type ProcessEvent,
  type ProcessExited,
  Signal,
  type TerminalSize,
} from '../../gen/ts/wrenn/v1/process.js';
export {
  type ForkResult,
  type ForkSandboxResponse,
  type Generation,
  type RestoreStep,
  type ResumeSandboxResponse,
  type Sandbox,
  SandboxState,
  TimeoutAction,
  type VerifyGenerationResponse,
} from '../../gen/ts/wrenn/v1/sandbox.js';
export { type Snapshot, SnapshotType } from '../../gen/ts/wrenn/v1/snapshot.js';
export { DEFAULT_ADDRESS, WrennClient, type WrennClientOptions } from './client.js';
export type { CallOptions } from './connection.js';
export { type FieldViolation, WrennApiError } from './error.js';
export { FILE_BYTES_MAX, type FileOptions } from './files.js';
export type { PageOptions } from './pages.js';
export type { ProcessStream } from './process-stream.js';
export type { ExecOptions, ExecResult, OutputOptions, ProcessOptions } from './processes.js';
export type { CreateSandboxOptions, ResumeOptions, SandboxFilter } from './sandboxes.js';
