/** The parts of a host without virtual machines: everything above them is real. */
import { FaultPlan } from '../../lib/faults/fault-plan.js';
import { createFakeMemoryProvider } from '../memory/fake/provider.js';
import { createFakeNetwork } from '../network/fake/network.js';
import { createFakeRootfsProvider } from '../rootfs/fake/provider.js';
import type { TemplateCatalog } from '../sandbox/template-catalog.js';
import { disksFolder } from '../state-folders.js';
import { createFakeDriver } from '../vmm/fake/driver.js';

/** The template that every host has; here it has no images. */
const TEMPLATES: TemplateCatalog = {
  names: () => ['minimal'],
  find: (name) =>
    name === 'minimal'
      ? { rootfsPath: '', kernel: { path: '', initrdPath: '' }, toolsPath: '' }
      : undefined,
};

export interface FakePartsOptions {
  /** Milliseconds that a boot takes. */
  fakeBootMs: number;
  /** Where disks and snapshots lie. */
  stateDirectory: string;
  /** What goes wrong, shared by all parts. */
  faults?: FaultPlan;
}

export function fakeParts({
  fakeBootMs,
  stateDirectory,
  faults = new FaultPlan(),
}: FakePartsOptions) {
  return {
    driver: createFakeDriver({ bootMs: fakeBootMs, faults }),
    rootfs: createFakeRootfsProvider({ folder: disksFolder(stateDirectory), faults }),
    memory: createFakeMemoryProvider({ faults }),
    network: createFakeNetwork({ faults }),
    templates: TEMPLATES,
    markImages: async () => undefined,
  };
}

export type FakeParts = ReturnType<typeof fakeParts>;
