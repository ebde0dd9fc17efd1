/**
 * Learns which memory a machine needs first after a restore, so that the next
 * restore brings it in bulk before it is asked for. It is a guess: a wrong one
 * costs time and nothing else.
 */
import type { ServedMemory } from '../memory/provider.js';
import type { Host } from './host.js';
import type { Sandbox } from './sandbox.js';

/** How long after the guest has answered its first accesses are noted. */
export const LEARN_MS = 2000;
/** Blocks that are kept, the ones asked for first: 64 MiB. */
export const WORKING_SET_BLOCKS_MAX = 16_384;
/** First block, number of blocks. */
const RUN_FIELDS = 2;

/** Notes for the generation that a machine was restored from what it has needed until a moment from now. */
export function learnWorkingSet(host: Host, { memory }: Sandbox, generationId: string): void {
  const learn = async () => {
    memory?.stopRecording();
    await keepWorkingSet(host, memory?.workingSet(), generationId);
  };
  setTimeout(() => void learn(), LEARN_MS).unref();
}

/** Keeps what a machine has needed with a generation that was made of it. Never rejects. */
export async function keepWorkingSet(
  host: Host,
  workingSet: ReturnType<ServedMemory['workingSet']>,
  generationId: string,
): Promise<void> {
  if (!workingSet || !host.snapshots.has(generationId)) return;
  await host.snapshots.saveWorkingSet(generationId, firstBlocks(workingSet));
}

/** The runs up to the limit. */
function firstBlocks(runs: Uint32Array): Uint32Array {
  let blocks = 0;
  for (let at = 0; at < runs.length; at += RUN_FIELDS) {
    blocks += runs[at + 1] ?? 0;
    if (blocks > WORKING_SET_BLOCKS_MAX) return runs.slice(0, at);
  }
  return runs;
}
