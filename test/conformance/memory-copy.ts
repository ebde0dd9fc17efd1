/** Copies a stopped machine's memory, as plainly as it can be done. */
import { open } from 'node:fs/promises';
import type { MachineMemory } from '../../agent/vmm/driver.js';

const CHUNK_BYTES = 1024 * 1024;

/** Makes the new file `path`, in which every block lies at its own address; zeros take no room. */
export async function copyMachineMemory(
  memory: MachineMemory,
  sizeBytes: number,
  path: string,
): Promise<void> {
  const isPrivate = memory.kind === 'private';
  await using from = await open(isPrivate ? `/proc/${memory.pid}/mem` : memory.path, 'r');
  await using to = await open(path, 'wx');
  await to.truncate(sizeBytes);
  const start = isPrivate ? Number(memory.address) : 0;
  const chunk = Buffer.alloc(CHUNK_BYTES);
  const zeros = Buffer.alloc(CHUNK_BYTES);
  for (let done = 0; done < sizeBytes; ) {
    const length = Math.min(CHUNK_BYTES, sizeBytes - done);
    const { bytesRead } = await from.read(chunk, 0, length, start + done);
    if (bytesRead === 0) throw new Error('the memory ends early');
    const part = chunk.subarray(0, bytesRead);
    if (!part.equals(zeros.subarray(0, bytesRead))) await to.write(part, 0, bytesRead, done);
    done += bytesRead;
  }
}
