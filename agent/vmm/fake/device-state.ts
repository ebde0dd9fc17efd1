/** The file of a fake machine's devices: what a real one needs beside memory and disk. */
import { createHash } from 'node:crypto';
import { open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../../../lib/files/atomic-write.js';

const MAGIC = 'wrenn fake devices 1';

export interface DeviceState {
  vcpus: number;
  memoryMb: number;
  /** Whether the guest's daemon had been started. */
  booted: boolean;
}

/** Writes a new file; it is durable when this resolves, and gone when it fails. */
export async function writeDeviceState(path: string, state: DeviceState): Promise<void> {
  const body = JSON.stringify(state);
  const file = await open(path, 'wx', 0o600);
  try {
    try {
      await file.writeFile([MAGIC, checksum(body), body].join('\n'));
      await file.sync();
    } finally {
      await file.close();
    }
    await syncDirectory(dirname(path));
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** @throws Error when it is damaged, or not that of a machine of this shape. */
export async function readDeviceState(
  path: string,
  shape: Pick<DeviceState, 'vcpus' | 'memoryMb'>,
): Promise<DeviceState> {
  const [magic, sum, body = ''] = (await readFile(path, 'utf8')).split('\n');
  if (magic !== MAGIC || sum !== checksum(body)) throw new Error('the device state is damaged');
  const state = JSON.parse(body) as DeviceState;
  if (state.vcpus !== shape.vcpus || state.memoryMb !== shape.memoryMb) {
    throw new Error('the device state is that of another kind of machine');
  }
  return state;
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
