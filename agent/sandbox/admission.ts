/** Memory that the host has left for sandboxes. */
import type { Sandbox } from './sandbox.js';

/** MiB of `memoryMbMax` that no sandbox has taken; an ended sandbox takes none. */
export function freeMemoryMb(memoryMbMax: number, sandboxes: readonly Sandbox[]): number {
  const taken = sandboxes
    .filter(({ entry }) => entry.phase !== 'ended')
    .reduce((sum, { entry }) => sum + entry.memoryMb, 0);
  return Math.max(0, memoryMbMax - taken);
}
