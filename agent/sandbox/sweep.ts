/** Removes what an earlier run of the agent left on the host and no sandbox holds. */
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Host } from './host.js';
import type { Sandbox } from './sandbox.js';

/**
 * Sweeps machines, network and folders, each even when another fails: what
 * cannot be removed must not keep the healthy sandboxes from being served.
 */
export async function sweepHost(host: Host, sandboxes: readonly Sandbox[]): Promise<void> {
  const entries = sandboxes.map(({ entry }) => entry);
  const machines = entries.flatMap(({ machine }) => machine ?? []);
  const slots = entries.flatMap(({ slot }) => slot ?? []);
  const sweeps = {
    machines: () => host.driver.sweep(machines),
    network: () => host.network.sweep(slots),
    'run folders': () => sweepDirectories(host.runDirectory, sandboxes),
  };
  for (const [what, sweep] of Object.entries(sweeps)) {
    try {
      const removed = await sweep();
      if (removed.length > 0) host.log.warn('swept what no sandbox holds', { removed });
    } catch (error) {
      host.log.error('not everything that no sandbox holds could be swept', { what, error });
    }
  }
}

async function sweepDirectories(parent: string, sandboxes: readonly Sandbox[]): Promise<string[]> {
  const held = new Set(sandboxes.map(({ entry }) => basename(entry.runDirectory)));
  const paths = (await readdir(parent))
    .filter((name) => !held.has(name))
    .map((name) => join(parent, name));
  await Promise.all(paths.map((path) => rm(path, { recursive: true, force: true })));
  return paths;
}
