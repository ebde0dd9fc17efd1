/** Watches a directory of a sandbox across pauses: what was missed in between is told as an overflow. */
import type { GuestFileEvent } from '../guest/file-info.js';
import type { SandboxRegistry } from './registry.js';
import { currentRun, nextRun, type Run } from './runs.js';

export interface WatchRequest {
  sandboxId: string;
  path: string;
  recursive: boolean;
}

/** @throws WrennError SANDBOX_NOT_FOUND, SANDBOX_STATE, STREAM_LIMIT, FILE_NOT_FOUND, FILE_NOT_USABLE */
export async function* watchDirectory(
  registry: SandboxRegistry,
  { sandboxId, path, recursive }: WatchRequest,
  signal: AbortSignal,
): AsyncGenerator<GuestFileEvent, void, void> {
  let isReady = false;
  let run: Run | undefined = currentRun(registry, sandboxId);
  for (;;) {
    run ??= await nextRun(registry, sandboxId, signal);
    const { sandbox, guest, isOver } = run;
    const release = sandbox.openStream();
    try {
      for await (const event of guest.files.watch({ path, recursive }, signal)) {
        const wasReady = isReady && event.type === 'ready';
        isReady ||= event.type === 'ready';
        yield wasReady ? { ...event, type: 'overflow' } : event;
      }
    } catch (error) {
      if (signal.aborted || !isOver()) throw error;
    } finally {
      release();
    }
    run = undefined;
  }
}
