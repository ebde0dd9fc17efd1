/** The errors of operations on sandboxes. */
import { Code, WrennError } from '../../lib/errors/index.js';
import type { SandboxRecord, SandboxState } from '../store/sandbox.js';

export function sandboxNotFound(sandboxId: string): WrennError {
  return new WrennError(
    Code.NOT_FOUND,
    'SANDBOX_NOT_FOUND',
    'the team has no sandbox with this id',
    { metadata: { sandbox_id: sandboxId } },
  );
}

/** @param wanted states that the call asks for. */
export function wrongState(
  { id, state }: Pick<SandboxRecord, 'id' | 'state'>,
  ...wanted: SandboxState[]
): WrennError {
  return new WrennError(
    Code.FAILED_PRECONDITION,
    'SANDBOX_STATE',
    `the sandbox is ${state}, it must be ${wanted.join(' or ')}`,
    { metadata: { sandbox_id: id, state } },
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

export function snapshotShape({
  vcpus,
  memoryMb,
}: {
  vcpus: number;
  memoryMb: number;
}): WrennError {
  return new WrennError(
    Code.INVALID_ARGUMENT,
    'SNAPSHOT_SHAPE',
    `a sandbox of this snapshot has ${vcpus} vcpus and ${memoryMb} MiB of memory`,
    { metadata: { vcpus: String(vcpus), memory_mb: String(memoryMb) } },
  );
}

export function snapshotNotFound(snapshotId: string): WrennError {
  return new WrennError(
    Code.NOT_FOUND,
    'SNAPSHOT_NOT_FOUND',
    'the team has no snapshot with this id',
    { metadata: { snapshot_id: snapshotId } },
  );
}
