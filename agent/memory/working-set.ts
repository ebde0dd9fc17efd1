/** Working sets: blocks that machines have wanted, as runs of first block and number of blocks. */
import { WORKING_SET_BLOCKS_MAX, WORKING_SET_FIELDS } from '../../native/addon/binding.js';

/**
 * The blocks of both, each once, at most WORKING_SET_BLOCKS_MAX. Those that a machine had to wait
 * for come first; what it was brought in advance it could not show to want.
 */
export function joinWorkingSets(demanded: Uint32Array, replayed: Uint32Array): Uint32Array {
  const seen = new Set<number>();
  const runs: number[] = [];
  for (const set of [demanded, replayed]) {
    for (let at = 0; at + 1 < set.length; at += WORKING_SET_FIELDS) {
      const [first = 0, count = 0] = set.subarray(at, at + WORKING_SET_FIELDS);
      for (let block = first; block < first + count; block++) {
        if (seen.size === WORKING_SET_BLOCKS_MAX) return Uint32Array.from(runs);
        if (!seen.has(block)) append(runs, block);
        seen.add(block);
      }
    }
  }
  return Uint32Array.from(runs);
}

function append(runs: number[], block: number): void {
  const first = runs.at(-WORKING_SET_FIELDS);
  const count = runs.at(-1);
  if (first !== undefined && count !== undefined && first + count === block) {
    runs[runs.length - 1] = count + 1;
  } else {
    runs.push(block, 1);
  }
}
