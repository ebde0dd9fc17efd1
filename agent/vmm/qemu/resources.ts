/** What a machine may take from the host. */
import { open } from 'node:fs/promises';
import type { MachineSpec } from '../driver.js';
import type { CgroupLimits } from '../launch/cgroup-settings.js';
import { type Accelerator, TRANSLATION_BUFFER_MB } from './command-line.js';

const MIB = 1024 * 1024;

/** QEMU itself: program, device state, disk metadata, buffers of requests under way. */
const VMM_MEMORY_MB = 192;
/** QEMU's main loop beside the virtual processors: devices, control socket. */
const VMM_CPUS = 0.25;
/** QEMU's threads beside the virtual processors: at most 64 for disk requests, and its own. */
const VMM_THREADS = 96;

/** A qcow2 file holds 8 bytes of table and 2 of reference count for each 64 KiB; this is ample. */
const DISK_OVERHEAD_FACTOR = 1.01;
const DISK_OVERHEAD_BYTES = 64 * MIB;

/** First bytes of a qcow2 file, and where it says how large the disk is. */
const QCOW2_MAGIC = 0x514649fb;
const QCOW2_SIZE_OFFSET = 24;
const QCOW2_HEADER_BYTES = 32;

export function machineLimits(
  { vcpus, memoryMb }: MachineSpec,
  accelerator: Accelerator,
): CgroupLimits {
  const translationMb = accelerator === 'tcg' ? TRANSLATION_BUFFER_MB : 0;
  return {
    memoryBytes: (memoryMb + VMM_MEMORY_MB + translationMb) * MIB,
    cpus: vcpus + VMM_CPUS,
    pids: vcpus + VMM_THREADS,
  };
}

/** The largest file that a VMM has any reason to write: its disk when full, or its memory. */
export async function largestFileBytes({ rootfs, memoryMb }: MachineSpec): Promise<number> {
  const diskBytes = await diskSizeBytes(rootfs);
  const diskFileBytes = Math.ceil(diskBytes * DISK_OVERHEAD_FACTOR) + DISK_OVERHEAD_BYTES;
  return Math.max(diskFileBytes, memoryMb * MIB);
}

/** Size of the disk that the guest sees. */
async function diskSizeBytes({ path, format }: MachineSpec['rootfs']): Promise<number> {
  const file = await open(path, 'r');
  try {
    if (format === 'raw') return (await file.stat()).size;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(QCOW2_HEADER_BYTES), 0);
    if (bytesRead < QCOW2_HEADER_BYTES || buffer.readUInt32BE(0) !== QCOW2_MAGIC) {
      throw new Error(`${path} is not a qcow2 file`);
    }
    return Number(buffer.readBigUInt64BE(QCOW2_SIZE_OFFSET));
  } finally {
    await file.close();
  }
}
