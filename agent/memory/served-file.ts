/** Memory that the VMM maps from one file: there is nothing to do but to remember which. */
import type { MemoryFailure, MemoryRecord, ServedMemory } from './provider.js';

/** @param onClose runs at every `close`, which fails with it. */
export function serveFile(path: string, onClose?: () => Promise<void>): ServedMemory {
  const record: MemoryRecord = { kind: 'file', regions: [], removedPath: '' };
  let close: () => void;
  const failed = new Promise<MemoryFailure | undefined>((resolve) => {
    close = () => resolve(undefined);
  });
  return {
    backend: { kind: 'file', path },
    record,
    ready: Promise.resolve(),
    failed,
    removed: async () => undefined,
    statistics: () => ({}),
    workingSet: () => undefined,
    stopRecording: () => undefined,
    async close() {
      await onClose?.();
      close();
    },
  };
}
