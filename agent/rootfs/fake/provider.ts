/** Root disks that are only names, for hosts whose machines are fakes. */
import { join } from 'node:path';
import { FaultPlan } from '../../../lib/faults/fault-plan.js';
import type { Rootfs, RootfsProvider } from '../provider.js';

export interface FakeRootfsProvider extends RootfsProvider {
  readonly faults: FaultPlan;
  /** Paths of the disks that there are; empty when nothing has leaked. */
  held(): string[];
}

export function createFakeRootfsProvider(options: { faults?: FaultPlan } = {}): FakeRootfsProvider {
  const { faults = new FaultPlan() } = options;
  const disks = new Set<string>();
  return {
    faults,
    async create({ directory }) {
      await faults.reach('rootfs.create');
      const path = join(directory, 'rootfs.fake');
      disks.add(path);
      return { path, format: 'raw' };
    },
    async destroy({ path }: Rootfs) {
      await faults.reach('rootfs.destroy');
      disks.delete(path);
    },
    async sizeBytes() {
      return 0;
    },
    held: () => [...disks],
  };
}
