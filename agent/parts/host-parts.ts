/** The exchangeable parts of a host, which belong together: one set for each kind of host. */
import type { MemoryProvider } from '../memory/provider.js';
import type { Network } from '../network/network.js';
import type { RootfsProvider } from '../rootfs/provider.js';
import type { TemplateCatalog } from '../sandbox/template-catalog.js';
import type { VmmDriver } from '../vmm/driver.js';

export interface HostParts {
  driver: VmmDriver;
  rootfs: RootfsProvider;
  network: Network;
  memory: MemoryProvider;
  templates: TemplateCatalog;
  markImages: (paths: ReadonlySet<string>) => Promise<void>;
}
