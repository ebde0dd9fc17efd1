/** The errors of the sandbox layer. */
import { Code, WrennError } from '../../lib/errors/index.js';
import type { SandboxPhase } from '../ledger/entry.js';

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

export function wrongPhase(sandboxId: string, phase: SandboxPhase, endReason?: string): WrennError {
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
