/**
 * QEMU's migration as the way to save and load device state: one stream over a
 * Unix socket in the machine's folder. Guest memory is left out of it, since
 * it lies in a shared file.
 */
import { retry } from '../../../lib/lifecycle/delay.js';
import type { QmpExecute } from './qmp.js';
import { runState } from './run-state.js';

/** Device state of a machine takes some 70 KB; who sends this much sends something else. */
export const STATE_BYTES_MAX = 16 * 1024 * 1024;
/** Time limit of saving or loading device state. */
export const STATE_TIMEOUT_MS = 60_000;

const POLL_PAUSE_MS = 2;
const POLL_PAUSE_MS_MAX = 50;
/** A migration that is over, but whose machine is still being put to rest. */
const FINISHING = 'finish-migrate';

export type MigrationOutcome = 'completed' | 'failed' | 'cancelled';

export async function leaveMemoryOut(execute: QmpExecute): Promise<void> {
  const capabilities = [{ capability: 'x-ignore-shared', state: true }];
  await execute('migrate-set-capabilities', { capabilities });
}

/** Waits until QEMU's answer to `check` is the one that is awaited. */
export async function poll<T>(
  check: () => Promise<T | undefined>,
  signal: AbortSignal,
): Promise<T> {
  class NotYet extends Error {}
  const attempt = async () => {
    const result = await check();
    if (result === undefined) throw new NotYet('the migration does not come to its end');
    return result;
  };
  return retry(attempt, {
    timeoutMs: STATE_TIMEOUT_MS,
    pauseMs: POLL_PAUSE_MS,
    pauseMsMax: POLL_PAUSE_MS_MAX,
    retryable: (error) => error instanceof NotYet,
    signal,
  });
}

/** How an outgoing migration has ended; undefined while it goes on. */
export async function outcomeOf(
  execute: QmpExecute,
): Promise<{ outcome: MigrationOutcome; description: string } | undefined> {
  const answer = (await execute('query-migrate')) as Record<string, unknown> | null;
  const { status, 'error-desc': description = '' } = answer ?? {};
  if (status !== 'completed' && status !== 'failed' && status !== 'cancelled') return undefined;
  if ((await runState(execute)) === FINISHING) return undefined;
  return { outcome: status, description: String(description) };
}
