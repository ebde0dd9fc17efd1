/** The errors of the sandbox layer. */
import { basename } from 'node:path';
import { Code, WrennError } from '../../lib/errors/index.js';
import type { SandboxPhase } from '../ledger/entry.js';
import type { MemoryFailure } from '../memory/provider.js';

export function sandboxNotFound(sandboxId: string): WrennError {
  return new WrennError(Code.NOT_FOUND, 'SANDBOX_NOT_FOUND', 'this host has no such sandbox', {
    metadata: { sandbox_id: sandboxId },
  });
}

export function sandboxExists(sandboxId: string): WrennError {
  return new WrennError(
    Code.ALREADY_EXISTS,
    'SANDBOX_EXISTS',
    'this host has a sandbox with this id already',
    {
      metadata: { sandbox_id: sandboxId },
    },
  );
}

export function wrongPhase(
  sandboxId: string,
  phase: SandboxPhase | 'paused',
  endReason?: string,
): WrennError {
  return new WrennError(Code.FAILED_PRECONDITION, 'SANDBOX_STATE', `the sandbox is ${phase}`, {
    metadata: {
      sandbox_id: sandboxId,
      state: phase.toUpperCase(),
      ...(endReason ? { end_reason: endReason } : {}),
    },
  });
}

export function staleGeneration(sandboxId: string, generation: number, known: number): WrennError {
  return new WrennError(
    Code.ABORTED,
    'STALE_GENERATION',
    `the command is of generation ${generation}; ${known} is known already`,
    { metadata: { sandbox_id: sandboxId } },
  );
}

export function templateNotFound(template: string): WrennError {
  return new WrennError(Code.NOT_FOUND, 'TEMPLATE_NOT_FOUND', 'this host has no such template', {
    metadata: { template },
  });
}

export function memoryExhausted(freeMb: number): WrennError {
  return new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'HOST_EXHAUSTED',
    `the host has ${freeMb} MiB of memory left for sandboxes`,
    { metadata: { memory_mb_free: String(freeMb) }, retryAfterSec: 10 },
  );
}

export function bootTimeout(timeoutMs: number, cause: unknown): WrennError {
  return new WrennError(
    Code.DEADLINE_EXCEEDED,
    'BOOT_TIMEOUT',
    `the guest did not become ready within ${timeoutMs / 1000} seconds`,
    { cause },
  );
}

export function vmmExited(cause: unknown): WrennError {
  return new WrennError(Code.UNAVAILABLE, 'VMM_EXITED', 'the virtual machine ended', { cause });
}

export function deletedWhileStarting(sandboxId: string): WrennError {
  return new WrennError(
    Code.ABORTED,
    'SANDBOX_CONFLICT',
    'the sandbox was deleted while it started',
    {
      metadata: { sandbox_id: sandboxId },
    },
  );
}

export function shuttingDown(): WrennError {
  return new WrennError(Code.UNAVAILABLE, 'SHUTTING_DOWN', 'the host agent is shutting down');
}

export function snapshotNotFound(snapshotId: string): WrennError {
  return new WrennError(Code.NOT_FOUND, 'SNAPSHOT_NOT_FOUND', 'this host has no such snapshot', {
    metadata: { snapshot_id: snapshotId },
  });
}

export function snapshotShape(vcpus: number, memoryMb: number): WrennError {
  return new WrennError(
    Code.INVALID_ARGUMENT,
    'SNAPSHOT_SHAPE',
    `a sandbox of this snapshot has ${vcpus} vcpus and ${memoryMb} MiB`,
    { metadata: { vcpus: String(vcpus), memory_mb: String(memoryMb) } },
  );
}

/** The machine could not be written down. It goes on. */
export function pauseFailed(sandboxId: string, cause: unknown): WrennError {
  return new WrennError(
    Code.INTERNAL,
    'PAUSE_FAILED',
    'the sandbox could not be frozen and written down; it goes on',
    { metadata: { sandbox_id: sandboxId }, cause },
  );
}

/** A block of a machine's memory cannot be had: what the guest waits for will not come. */
export function memoryNotServed({ kind, message, artifact }: MemoryFailure): WrennError {
  const cause = new Error(message);
  if (kind === 'failed') {
    return new WrennError(
      Code.UNAVAILABLE,
      'VMM_FAILED',
      'the memory of the virtual machine could not be served',
      { cause },
    );
  }
  return new WrennError(Code.DATA_LOSS, 'SNAPSHOT_DAMAGED', 'the snapshot is damaged', {
    // The folder of the file is the host's affair.
    metadata: { artifact: basename(artifact ?? 'memfile') },
    cause,
  });
}

export function noGeneration(sandboxId: string): WrennError {
  return new WrennError(
    Code.FAILED_PRECONDITION,
    'SANDBOX_STATE',
    'the sandbox was never paused, so there is no generation of it',
    { metadata: { sandbox_id: sandboxId } },
  );
}

export function diskFull(sandboxId: string): WrennError {
  return new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'DISK_FULL',
    "the host's disk is full; the sandbox stands still until there is room",
    { metadata: { sandbox_id: sandboxId } },
  );
}

export function tooManyLayers(sandboxId: string, layers: number): WrennError {
  return new WrennError(
    Code.FAILED_PRECONDITION,
    'PAUSE_FAILED',
    `the disk lies over ${layers} snapshots; pause and resume the sandbox to merge them`,
    { metadata: { sandbox_id: sandboxId } },
  );
}

/** A request that its contract's rules let pass, and that means nothing. */
export function invalidRequest(message: string): WrennError {
  return new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', message);
}
