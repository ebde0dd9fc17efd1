/** What every operation of the sandbox layer works with. */
import type { Log } from '../../lib/log/log.js';
import type { Ledger } from '../ledger/ledger.js';
import type { MemoryProvider } from '../memory/provider.js';
import type { Network } from '../network/network.js';
import type { RootfsProvider } from '../rootfs/provider.js';
import type { SnapshotStore } from '../snapshot/store.js';
import type { VmmDriver } from '../vmm/driver.js';
import type { TemplateCatalog } from './template-catalog.js';

export interface HostLimits {
  /** Memory in MiB that all sandboxes together may take. */
  memoryMbMax: number;
  /** Boots and restores that may run at once; further ones wait their turn. */
  bootsAtOnceMax: number;
  /** Time from the start of a boot or a restore to a guest daemon that answers. */
  bootTimeoutMs: number;
  /** Warm templates that are kept; beyond it those go that were not used for longest. 0: none are made. */
  warmTemplatesMax: number;
  /** Restored machines that stand ready to be claimed by a create. */
  readyMachinesMax: number;
}

export interface Host {
  log: Log;
  ledger: Ledger;
  driver: VmmDriver;
  rootfs: RootfsProvider;
  network: Network;
  memory: MemoryProvider;
  snapshots: SnapshotStore;
  templates: TemplateCatalog;
  /** Says which images, by path, are needed; replaces what it was told before. */
  markImages: (paths: ReadonlySet<string>) => Promise<void>;
  limits: HostLimits;
  /** Parent of all sandboxes' folders for sockets. */
  runDirectory: string;
  /** A folder of the file system on which disks and snapshots lie. */
  stateDirectory: string;
}
