import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryDirectory } from '../../../test/support/temporary-directory.js';
import type { MachineSpec } from '../driver.js';
import { largestFileBytes, machineLimits } from './resources.js';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

describe('resources of a QEMU machine', () => {
  it('leave the VMM room beside the guest, and more where it keeps translated code', () => {
    const spec = { vcpus: 2, memoryMb: 512 } as MachineSpec;

    const kvm = machineLimits(spec, 'kvm');
    const tcg = machineLimits(spec, 'tcg');

    expect(kvm.memoryBytes).to.be.greaterThan(512 * MIB);
    expect(tcg.memoryBytes - kvm.memoryBytes).to.equal(128 * MIB);
    expect(tcg.cpus).to.be.within(2, 3);
    expect(tcg.pids).to.be.greaterThan(2);
  });

  it('let files grow to the full disk and a little more', async () => {
    await using directory = await temporaryDirectory();
    const raw = join(directory.path, 'raw');
    await writeFile(raw, '');
    await truncate(raw, 2 * GIB);
    const qcow2 = join(directory.path, 'qcow2');
    await writeFile(qcow2, qcow2Header(2 * GIB));

    for (const rootfs of [
      { path: raw, format: 'raw' },
      { path: qcow2, format: 'qcow2' },
    ] as const) {
      const bytes = await largestFileBytes({ rootfs, memoryMb: 512 } as MachineSpec);
      expect(bytes).to.be.within(2 * GIB + 1, 2.2 * GIB);
    }
  });

  it('let the memory file be as large as the memory when the disk is smaller', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'raw');
    await writeFile(path, '');
    const rootfs = { path, format: 'raw' } as const;

    const bytes = await largestFileBytes({ rootfs, memoryMb: 4096 } as MachineSpec);

    expect(bytes).to.equal(4 * GIB);
  });

  it('refuse a qcow2 disk that is none', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'disk');
    const rootfs = { path, format: 'qcow2' } as const;
    for (const content of ['', 'QFI', 'x'.repeat(100)]) {
      await writeFile(path, content);

      const error = await largestFileBytes({ rootfs, memoryMb: 1 } as MachineSpec).catch(
        (thrown: unknown) => thrown,
      );

      expect(error).to.be.an('error');
    }
  });
});

function qcow2Header(sizeBytes: number): Buffer {
  const header = Buffer.alloc(104);
  header.write('QFI\xfb', 'latin1');
  header.writeBigUInt64BE(BigInt(sizeBytes), 24);
  return header;
}
