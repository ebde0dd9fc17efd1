/** The ledger's entry with the resources that this agent's leaves hold. */
import type { LedgerEntry } from '../ledger/entry.js';
import type { MemoryRecord } from '../memory/provider.js';
import type { NetworkSlot } from '../network/network.js';
import type { Rootfs } from '../rootfs/provider.js';
import type { MachineRecord } from '../vmm/driver.js';

export type SandboxEntry = LedgerEntry<NetworkSlot, Rootfs, MachineRecord, MemoryRecord>;
