import { chmod, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../test/support/temporary-directory.js';
import { chooseDriver } from './choose-driver.js';
import { inspectKvm, type KvmInspection } from './kvm.js';

/** What the kernel prints when it has started and finds no disk. */
const STARTED = 'VFS: Unable to mount root fs on unknown-block(0,0)';

describe('choice of driver and accelerator', () => {
  let directory: TemporaryDirectory;
  let inspection: KvmInspection & { devicePath: string; cpuInfoPath: string };

  beforeEach(async () => {
    directory = await temporaryDirectory();
    const file = (name: string) => join(directory.path, name);
    inspection = {
      stateDirectory: file('state'),
      kernelPath: file('kernel'),
      tscKhz: 1_000_000,
      qemuPath: file('qemu'),
      devicePath: file('kvm'),
      cpuInfoPath: file('cpuinfo'),
    };
    await writeFile(inspection.kernelPath, '');
    await writeFile(inspection.devicePath, '');
    await writeFile(inspection.cpuInfoPath, 'processor\t: 0\nflags\t\t: fpu svm sse\n');
    await machineThat(`echo '${STARTED}'`);
  });

  afterEach(() => directory.remove());

  /** Puts a program in QEMU's place, since no test can bring its host a broken KVM. */
  async function machineThat(script: string): Promise<void> {
    const path = join(directory.path, 'qemu');
    await writeFile(path, `#!/bin/sh\necho run >>"${directory.path}/runs.$$"\n${script}\n`);
    await chmod(path, 0o755);
  }

  async function machinesStarted(): Promise<number> {
    return (await readdir(directory.path)).filter((name) => name.startsWith('runs.')).length;
  }

  it('is KVM where device, CPU and a test machine say so', async () => {
    expect(await chooseDriver('auto', inspection)).to.include({ name: 'qemu', accelerator: 'kvm' });
    expect((await inspectKvm(inspection)).usable).to.equal(true);
  });

  it('starts one test machine for each boot of the host', async () => {
    await inspectKvm(inspection);
    await inspectKvm(inspection);

    expect(await machinesStarted()).to.equal(1);
  });

  it('starts another one when QEMU has changed', async () => {
    await inspectKvm(inspection);
    await machineThat('echo broken >&2; exit 1');

    expect((await inspectKvm(inspection)).usable).to.equal(false);
    expect(await machinesStarted()).to.equal(2);
  });

  const obstacles: [string, () => Promise<unknown>][] = [
    ['there is no device', () => rm(inspection.devicePath)],
    ['the CPU has no such flag', () => writeFile(inspection.cpuInfoPath, 'flags : vmxy svm_lock')],
    ['a flag stands elsewhere', () => writeFile(inspection.cpuInfoPath, 'vmx flags : svm')],
    ['the test machine fails', () => machineThat('echo no luck >&2; exit 1')],
    ['the test machine dies silently', () => machineThat('exit 0')],
    ['the test machine is killed', () => machineThat('kill -9 $$')],
    ['there is no kernel yet', () => rm(inspection.kernelPath)],
    ['there is no QEMU', () => rm(inspection.qemuPath ?? '')],
  ];
  for (const [title, prepare] of obstacles) {
    it(`is emulation, with a reason, where ${title}`, async () => {
      await prepare();

      const verdict = await inspectKvm(inspection);
      const choice = await chooseDriver('qemu', inspection);

      expect(verdict.usable).to.equal(false);
      expect(choice).to.include({ name: 'qemu', accelerator: 'tcg' });
      expect(choice.reason)
        .to.include(verdict.reason)
        .and.match(/^\S[^\n]*[^.\s]$/);
    });
  }

  it('is the fake where it is asked for, without a look at the host', async () => {
    expect(await chooseDriver('fake', inspection)).to.include({
      name: 'fake',
      accelerator: 'none',
    });
    expect(await machinesStarted()).to.equal(0);
  });
});
