/** The id by which programs tell one machine from another. */
import { lstat } from 'node:fs/promises';
import { writeFileAtomic } from '../../lib/files/atomic-write.js';

const MACHINE_ID_MODE = 0o444;

export interface MachineIdFiles {
  machineIdPath: string;
  /** D-Bus's; often a symbolic link to the other, sometimes a copy, and not there without D-Bus. */
  dbusMachineIdPath: string;
}

/** @param machineId 32 hexadecimal digits. */
export async function setMachineId(machineId: string, files: MachineIdFiles): Promise<void> {
  const content = `${machineId}\n`;
  await writeFileAtomic(files.machineIdPath, content, MACHINE_ID_MODE);
  if (await isRegularFile(files.dbusMachineIdPath)) {
    await writeFileAtomic(files.dbusMachineIdPath, content, MACHINE_ID_MODE);
  }
}

async function isRegularFile(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isFile();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
