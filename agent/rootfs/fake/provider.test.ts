import { expect } from 'chai';
import { Code, WrennError } from '../../../lib/errors/index.js';
import { createFakeRootfsProvider } from './provider.js';

describe('the fake root disks', () => {
  const request = { sandboxId: 'a', imagePath: '/image', directory: '/sandbox/a', uid: 1 };

  it('are held until they are destroyed, however often', async () => {
    const provider = createFakeRootfsProvider();

    const rootfs = await provider.create(request);
    expect(provider.held()).to.deep.equal([rootfs.path]);
    await provider.destroy(rootfs);
    await provider.destroy(rootfs);

    expect(provider.held()).to.deep.equal([]);
  });

  it('fail as planned and then hold nothing', async () => {
    const provider = createFakeRootfsProvider();
    const full = new WrennError(Code.RESOURCE_EXHAUSTED, 'HOST_DISK_FULL', 'full');
    provider.faults.failNext('rootfs.create', full);

    const error = await provider.create(request).catch((thrown: unknown) => thrown);

    expect(error).to.equal(full);
    expect(provider.held()).to.deep.equal([]);
  });
});
