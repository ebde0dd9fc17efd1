/** Calls into the guest of a running sandbox, as activity, and with the sandbox's own word for what broke them. */
import { Code, WrennError } from '../../lib/errors/index.js';
import type { GuestClient } from '../guest/guest-client.js';
import { diskFull } from './errors.js';
import { findPaused } from './pausing.js';
import type { SandboxRegistry } from './registry.js';
import { currentRun } from './runs.js';
import type { Sandbox } from './sandbox.js';

/**
 * Makes a call.
 * @throws WrennError SANDBOX_NOT_FOUND, SANDBOX_STATE, DISK_FULL, OVERLOADED, and what the call throws.
 */
export async function withGuest<T>(
  registry: SandboxRegistry,
  sandboxId: string,
  call: (guest: GuestClient) => Promise<T>,
): Promise<T> {
  const { sandbox, guest } = usableRun(registry, sandboxId);
  try {
    return await sandbox.active(() => call(guest));
  } catch (error) {
    throw ownWord(registry, sandbox, error);
  }
}

/** The same for a call that carries a file: it counts among the streams. */
export async function uploadToGuest<T>(
  registry: SandboxRegistry,
  sandboxId: string,
  call: (guest: GuestClient) => Promise<T>,
): Promise<T> {
  const { sandbox, guest } = usableRun(registry, sandboxId);
  const release = sandbox.openStream();
  try {
    return await call(guest);
  } catch (error) {
    throw ownWord(registry, sandbox, error);
  } finally {
    release();
  }
}

/** The same for a stream that ends with the run of the sandbox. */
export async function* streamFromGuest<T>(
  registry: SandboxRegistry,
  sandboxId: string,
  open: (guest: GuestClient) => AsyncIterable<T>,
): AsyncGenerator<T, void, void> {
  const { sandbox, guest } = usableRun(registry, sandboxId);
  const release = sandbox.openStream();
  try {
    yield* open(guest);
  } catch (error) {
    throw ownWord(registry, sandbox, error);
  } finally {
    release();
  }
}

function usableRun(registry: SandboxRegistry, sandboxId: string) {
  const run = currentRun(registry, sandboxId);
  if (run.sandbox.isDiskFull) throw diskFull(sandboxId);
  return run;
}

/** A guest that went away because its sandbox ended or was paused has a better name for it. */
function ownWord(registry: SandboxRegistry, { id, entry }: Sandbox, error: unknown): unknown {
  if (entry.phase === 'running') return error;
  const state = findPaused(registry, id) ? 'PAUSED' : entry.phase;
  return new WrennError(
    Code.FAILED_PRECONDITION,
    'SANDBOX_STATE',
    'the sandbox was paused or ended during the call',
    { metadata: { sandbox_id: id, state: state.toUpperCase() }, cause: error },
  );
}
