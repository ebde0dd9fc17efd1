/** The plain C programs of bench/anchors, which the project's own code is compared with. */
import { join } from 'node:path';
import { packageRoot } from '../lib/files/package-root.js';
import { type RunOptions, run } from '../lib/process/run.js';

const NS_PER_MS = 1e6;
const BUILD_TIMEOUT_MS = 120_000;

export type Anchor =
  | 'bulk-copy'
  | 'copy-extents'
  | 'page-server'
  | 'private-memory'
  | 'standstill'
  | 'vmm'
  | 'write-changes';

/** Builds those that are not built yet, or are older than their source. */
export async function buildAnchors(signal: AbortSignal): Promise<void> {
  await run('make', ['-s', '-C', folder()], { signal, timeoutMs: BUILD_TIMEOUT_MS });
}

export function anchorPath(name: Anchor): string {
  return join(folder(), 'build', name);
}

/** Runs one that prints its nanoseconds. @returns milliseconds. */
export async function timeAnchor(
  name: Anchor,
  args: readonly (string | number)[],
  options: RunOptions,
): Promise<number> {
  const { stdout } = await run(anchorPath(name), args.map(String), options);
  const elapsedNs = Number(stdout.trim() || Number.NaN);
  if (!Number.isFinite(elapsedNs)) throw new Error(`${name} printed no time: ${stdout}`);
  return elapsedNs / NS_PER_MS;
}

function folder(): string {
  return join(packageRoot(), 'bench', 'anchors');
}
