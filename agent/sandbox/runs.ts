/**
 * What outlasts the pauses of a sandbox: a stream or a call is made in one run
 * of it, and when that run is paused it waits for the next one.
 */
import { Code, WrennError } from '../../lib/errors/index.js';
import type { GuestClient } from '../guest/guest-client.js';
import { sandboxNotFound, wrongPhase } from './errors.js';
import { findPaused } from './pausing.js';
import type { SandboxRegistry } from './registry.js';
import type { Sandbox } from './sandbox.js';

/** How long a stream waits for its paused sandbox. */
export const SUSPENDED_MS_MAX = 24 * 3_600_000;

/** One run of a sandbox, from its start or resume to its pause or end. */
export interface Run {
  sandbox: Sandbox;
  guest: GuestClient;
  /** Whether it has ended, so that another may follow. */
  isOver: () => boolean;
}

/** The run of a sandbox that runs now. @throws WrennError SANDBOX_NOT_FOUND, SANDBOX_STATE */
export function currentRun(registry: SandboxRegistry, sandboxId: string): Run {
  const sandbox = registry.running(sandboxId);
  const { guest } = sandbox;
  if (!guest) throw wrongPhase(sandboxId, sandbox.entry.phase);
  return {
    ...{ sandbox, guest },
    isOver: () => sandbox.entry.phase !== 'running' || sandbox.guest !== guest,
  };
}

/**
 * The run of a sandbox that was running, as soon as it runs again.
 * @throws WrennError SANDBOX_NOT_FOUND or SANDBOX_STATE when it has ended; the signal's reason.
 */
export async function nextRun(
  registry: SandboxRegistry,
  sandboxId: string,
  signal: AbortSignal,
): Promise<Run> {
  let waiting: AbortSignal | undefined;
  for (let seen = registry.changes.count; ; ) {
    signal.throwIfAborted();
    const sandbox = registry.get(sandboxId);
    if (sandbox?.entry.phase === 'running' && sandbox.guest) return currentRun(registry, sandboxId);
    if (!isComingBack(registry, sandboxId, sandbox)) throw endOf(sandboxId, sandbox);
    waiting ??= AbortSignal.any([signal, AbortSignal.timeout(SUSPENDED_MS_MAX)]);
    seen = await registry.changes.after(seen, waiting).catch((error: unknown) => {
      throw signal.aborted ? signal.reason : pausedTooLong(sandboxId, error);
    });
  }
}

/**
 * Makes a call into a guest, again when a pause came in between; only for calls
 * that may be made twice.
 */
export async function acrossPauses<T>(
  registry: SandboxRegistry,
  sandboxId: string,
  signal: AbortSignal,
  call: (guest: GuestClient, sandbox: Sandbox) => Promise<T>,
): Promise<T> {
  for (;;) {
    const { sandbox, guest, isOver } = await nextRun(registry, sandboxId, signal);
    try {
      return await call(guest, sandbox);
    } catch (error) {
      if (signal.aborted || !isOver()) throw error;
    }
  }
}

function isComingBack(
  registry: SandboxRegistry,
  sandboxId: string,
  sandbox: Sandbox | undefined,
): boolean {
  const phase = sandbox?.entry.phase;
  if (phase === 'running' || phase === 'pausing' || phase === 'resuming') return true;
  return phase !== 'ended' && findPaused(registry, sandboxId) !== undefined;
}

function endOf(sandboxId: string, sandbox: Sandbox | undefined): WrennError {
  if (!sandbox) return sandboxNotFound(sandboxId);
  return wrongPhase(sandboxId, sandbox.entry.phase, sandbox.endReason);
}

function pausedTooLong(sandboxId: string, cause: unknown): WrennError {
  return new WrennError(
    Code.FAILED_PRECONDITION,
    'SANDBOX_STATE',
    `the sandbox was paused for longer than a stream waits`,
    { metadata: { sandbox_id: sandboxId, state: 'PAUSED' }, cause },
  );
}
