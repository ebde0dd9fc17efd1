/** How long the gateway waits for a service, by method. A caller may ask for less, not for more. */
import type { Message } from '@bufbuild/protobuf';

/** Time for a call that no rule below names. */
const CALL_TIMEOUT_MS = 120_000;

/** A cold boot under software emulation, behind others. */
const CREATE_SANDBOX_TIMEOUT_MS = 300_000;

/** All of a guest's memory goes to disk, or a guest comes back, behind others. */
const PAUSE_OR_RESUME_TIMEOUT_MS = 300_000;

/** A pause, and then up to a hundred guests that come back, a few at once. */
const FORK_SANDBOX_TIMEOUT_MS = 1_800_000;

/** Time beyond the program's own, for the way there and back. */
const EXEC_SLACK_MS = 100_000;
const EXEC_TIMEOUT_SEC_DEFAULT = 30;
const EXEC_TIMEOUT_SEC_MAX = 3600;

const BY_METHOD: Record<string, (request: Message) => number> = {
  '/wrenn.v1.SandboxService/CreateSandbox': () => CREATE_SANDBOX_TIMEOUT_MS,
  '/wrenn.v1.SandboxService/PauseSandbox': () => PAUSE_OR_RESUME_TIMEOUT_MS,
  '/wrenn.v1.SandboxService/ResumeSandbox': () => PAUSE_OR_RESUME_TIMEOUT_MS,
  '/wrenn.v1.SandboxService/ForkSandbox': () => FORK_SANDBOX_TIMEOUT_MS,
  '/wrenn.v1.SandboxService/VerifyGeneration': () => PAUSE_OR_RESUME_TIMEOUT_MS,
  '/wrenn.v1.SnapshotService/CreateSnapshot': () => PAUSE_OR_RESUME_TIMEOUT_MS,
  '/wrenn.v1.ProcessService/Exec': execTimeoutMs,
};

/** Time after which a call is given up. */
export function timeoutMsOf(
  rpcPath: string,
  request: Message,
  callerTimeoutMs: number | undefined,
): number {
  const methodTimeoutMs = BY_METHOD[rpcPath]?.(request) ?? CALL_TIMEOUT_MS;
  return Math.min(methodTimeoutMs, callerTimeoutMs ?? methodTimeoutMs);
}

/** Time after which a stream is given up: whenever the caller says, and never otherwise. */
export function streamTimeoutMs(callerTimeoutMs: number | undefined): number {
  return callerTimeoutMs ?? Number.POSITIVE_INFINITY;
}

/** Whether calls of a method may last so long that they would keep others from their connection. */
export function isLongCall(rpcPath: string): boolean {
  return rpcPath in BY_METHOD;
}

function execTimeoutMs(request: Message): number {
  const { timeoutSec } = request as Message & { timeoutSec?: unknown };
  const seconds = typeof timeoutSec === 'number' && timeoutSec > 0 ? timeoutSec : undefined;
  const bounded = Math.min(seconds ?? EXEC_TIMEOUT_SEC_DEFAULT, EXEC_TIMEOUT_SEC_MAX);
  return bounded * 1000 + EXEC_SLACK_MS;
}
