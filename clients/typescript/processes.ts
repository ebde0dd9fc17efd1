import {
  ExecRequest,
  type ExecResponse,
  ProcessServiceService as Service,
} from '../../gen/ts/wrenn/v1/process.js';
import type { CallOptions, Connection } from './connection.js';

/** The server's limit for a program when the caller names none. */
const EXEC_TIMEOUT_SEC = 30;
/** How much longer than the program's own limit the client waits for the answer. */
const EXEC_MARGIN_MS = 30_000;

/** What to run; no shell is involved. */
export type ExecOptions = Pick<ExecRequest, 'cmd'> & Partial<Omit<ExecRequest, 'sandboxId'>>;

/** What became of the program: output, exit code and duration. */
export type ExecResult = ExecResponse;

/** Runs a program to its end. */
export function exec(
  connection: Connection,
  sandboxId: string,
  command: ExecOptions,
  options?: CallOptions,
): Promise<ExecResult> {
  const timeoutMs = (command.timeoutSec || EXEC_TIMEOUT_SEC) * 1000 + EXEC_MARGIN_MS;
  const request = ExecRequest.fromPartial({ ...command, sandboxId });
  return connection.call(Service.exec, request, { timeoutMs, ...options });
}
