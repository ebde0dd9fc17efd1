/**
 * Removes generations and disk layers that nothing needs any more. It may run
 * beside everything else: what is being made stands in a ledger entry, or is
 * held, before it is there.
 */
import type { Host } from './host.js';
import type { Sandbox } from './sandbox.js';

/** @param sandboxes those that are there now, asked when the layers have been listed. */
export async function collectGarbage(
  host: Host,
  sandboxes: () => readonly Sandbox[],
): Promise<void> {
  try {
    await host.snapshots.collect();
    await host.rootfs.collect(() => {
      const sealed = host.snapshots.layers();
      return sealed && new Set([...sealed, ...sandboxes().flatMap(layersInUse)]);
    });
  } catch (error) {
    host.log.error('not all that nothing needs could be removed', { error });
  }
}

function layersInUse({ entry }: Sandbox): string[] {
  return [entry.rootfs, entry.nextRootfs].flatMap((rootfs) =>
    rootfs ? [...rootfs.layers, rootfs.layer] : [],
  );
}
