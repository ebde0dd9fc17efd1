/** What the snapshots of this host's machines can be restored by. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { run } from '../../../lib/process/run.js';
import type { MachineKind } from '../driver.js';
import { type Accelerator, DEVICE_LAYOUT } from './command-line.js';

const VERSION = /^QEMU emulator version (.+)$/m;
/** What tells processors apart that a guest sees as they are. */
const CPU_FIELDS = ['vendor_id', 'cpu family', 'model', 'stepping', 'flags'] as const;
const HASH_LENGTH = 16;

export async function machineKind(
  qemuPath: string,
  accelerator: Accelerator,
): Promise<MachineKind> {
  return {
    driver: 'qemu',
    accelerator,
    vmmVersion: await versionOf(qemuPath),
    // Emulation gives all guests the same processor, whatever the host's is.
    cpuModel: accelerator === 'tcg' ? 'max' : hostCpuModel(await readFile('/proc/cpuinfo', 'utf8')),
    deviceLayout: DEVICE_LAYOUT,
  };
}

/** A name for the processor that /proc/cpuinfo describes; the order of its flags does not matter. */
export function hostCpuModel(cpuinfo: string): string {
  const first = cpuinfo.split('\n\n', 1)[0] ?? '';
  const values = new Map(
    first.split('\n').map((line) => {
      const [name = '', value = ''] = line.split(':', 2);
      return [name.trim(), value.trim()];
    }),
  );
  const [vendor, family, model, stepping, flags] = CPU_FIELDS.map((name) => values.get(name));
  if (!vendor || !flags) throw new Error('/proc/cpuinfo does not describe a processor');
  const sorted = flags.split(' ').sort().join(' ');
  const hash = createHash('sha256').update(sorted).digest('hex').slice(0, HASH_LENGTH);
  return `host-${vendor}-${family}-${model}-${stepping}-${hash}`;
}

async function versionOf(qemuPath: string): Promise<string> {
  const { stdout } = await run(qemuPath, ['--version']);
  const version = VERSION.exec(stdout)?.[1];
  if (!version) throw new Error(`${qemuPath} does not say its version`);
  return version;
}
