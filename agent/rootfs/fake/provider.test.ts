import { join } from 'node:path';
import { expect } from 'chai';
import { Code, WrennError } from '../../../lib/errors/index.js';
import { temporaryDirectory } from '../../../test/support/temporary-directory.js';
import { createFakeRootfsProvider } from './provider.js';

describe('the fake root disks', () => {
  const request = { sandboxId: 'a', imagePath: '/image', layers: [], uid: 1 };
  const nothingRecorded = () => Promise.resolve();

  it('fail as planned, leave nothing behind, and work when tried again', async () => {
    await using directory = await temporaryDirectory();
    const provider = createFakeRootfsProvider({ folder: join(directory.path, 'disks') });
    const full = new WrennError(Code.RESOURCE_EXHAUSTED, 'HOST_DISK_FULL', 'full');
    const failures: unknown[] = [];
    const failOnce = async <T>(
      step: 'create' | 'seal' | 'destroy' | 'merge' | 'collect',
      work: () => Promise<T>,
    ) => {
      provider.faults.failNext(`rootfs.${step}`, full);
      await work().catch((error: unknown) => failures.push(error));
      return work();
    };

    const rootfs = await failOnce('create', () => provider.create(request, nothingRecorded));
    await failOnce('seal', () => provider.seal(rootfs));
    const merged = await failOnce('merge', () => provider.merge('/image', [rootfs.layer]));
    await failOnce('destroy', () => provider.destroy(rootfs));
    const removed = await failOnce('collect', () => provider.collect(() => new Set()));

    expect(failures).to.deep.equal([full, full, full, full, full]);
    expect(removed.sort()).to.deep.equal([rootfs.layer, merged].sort());
  });
});
