/** The errors of operations on sandboxes. */
import { Code, WrennError } from '../../lib/errors/index.js';
import type { SandboxState } from '../store/sandbox.js';

export function sandboxNotFound(sandboxId: string): WrennError {
  return new WrennError(
    Code.NOT_FOUND,
    'SANDBOX_NOT_FOUND',
    'the team has no sandbox with this id',
    { metadata: { sandbox_id: sandboxId } },
  );
}

export function wrongState(sandboxId: string, state: SandboxState): WrennError {
  return new WrennError(
    Code.FAILED_PRECONDITION,
    'SANDBOX_STATE',
    `the sandbox is ${state}, it must be RUNNING`,
    { metadata: { sandbox_id: sandboxId, state } },
  );
}

export function sandboxConflict(sandboxId: string, cause?: unknown): WrennError {
  return new WrennError(
    Code.ABORTED,
    'SANDBOX_CONFLICT',
    'another call changed the sandbox first; look at it again',
    { metadata: { sandbox_id: sandboxId }, cause },
  );
}
