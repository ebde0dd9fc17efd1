import { setTimeout } from 'node:timers/promises';

/** Waits; rejects with the signal's reason when it aborts first. */
export async function delay(durationMs: number, signal?: AbortSignal): Promise<void> {
  try {
    await setTimeout(durationMs, undefined, signal ? { signal } : {});
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  }
}

export interface RetryOptions {
  /** Total time after which the last error is thrown. */
  timeoutMs: number;
  /** Pause after the first failure; it doubles up to `pauseMsMax`. */
  pauseMs: number;
  pauseMsMax: number;
  signal?: AbortSignal | undefined;
  /** Whether an error is worth another try; all are when left out. */
  retryable?: (error: unknown) => boolean;
}

/** Calls `attempt` until it succeeds, its error is final, or time runs out. */
export async function retry<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const endsAt = performance.now() + options.timeoutMs;
  for (let pauseMs = options.pauseMs; ; pauseMs = Math.min(pauseMs * 2, options.pauseMsMax)) {
    try {
      options.signal?.throwIfAborted();
      return await attempt();
    } catch (error) {
      if (options.signal?.aborted) throw options.signal.reason;
      if (options.retryable && !options.retryable(error)) throw error;
      if (performance.now() + pauseMs > endsAt) throw error;
      await delay(pauseMs, options.signal);
    }
  }
}
