/** Whether a VMM's virtual processors run, and what keeps them. */
import type { QmpExecute } from './qmp.js';

/** Stopping waits for the disk requests under way, and flushes the disk to the host's. */
export const STOP_TIMEOUT_MS = 60_000;

/** QEMU's word for it, such as `running`, `paused` or `io-error`. */
export async function runState(execute: QmpExecute, signal?: AbortSignal): Promise<string> {
  const answer = await execute('query-status', {}, { signal });
  return String((answer as { status?: unknown } | null)?.status);
}

/** @throws Error when they do not stand still then. */
export async function stopProcessors(execute: QmpExecute): Promise<void> {
  await execute('stop', {}, { timeoutMs: STOP_TIMEOUT_MS });
  const state = await runState(execute);
  if (state === 'running') throw new Error('the virtual processors still run');
}
