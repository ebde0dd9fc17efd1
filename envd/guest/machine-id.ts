/** The id by which programs tell one machine from another. */
import { lstatSync } from 'node:fs';
import { replaceFile } from '../replace-file.js';

const MACHINE_ID_MODE = 0o444;

export interface MachineIdFiles {
  machineIdPath: string;
  /** D-Bus's; often a symbolic link to the other, sometimes a copy, and not there without D-Bus. */
  dbusMachineIdPath: string;
}

/** @param machineId 32 hexadecimal digits. */
export function setMachineId(machineId: string, files: MachineIdFiles): void {
  const content = `${machineId}\n`;
  replaceFile(files.machineIdPath, content, MACHINE_ID_MODE);
  if (lstatSync(files.dbusMachineIdPath, { throwIfNoEntry: false })?.isFile()) {
    replaceFile(files.dbusMachineIdPath, content, MACHINE_ID_MODE);
  }
}
