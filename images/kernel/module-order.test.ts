import { expect } from 'chai';
import fc from 'fast-check';
import { hasReason } from '../../lib/errors/index.js';
import { loadOrder, moduleName, parseModuleIndex } from './module-order.js';

const DEPENDENCIES = `
kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/char/hw_random/virtio-rng.ko.xz: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
`;
const BUILT_IN = 'kernel/fs/ext4/ext4.ko\n';

describe('load order of kernel modules', () => {
  const index = parseModuleIndex(DEPENDENCIES, BUILT_IN);

  it('puts what a module needs before it, also when the list does not', () => {
    expect(loadOrder(['virtio_blk'], index)).to.deep.equal([
      'kernel/drivers/virtio/virtio_ring.ko',
      'kernel/drivers/virtio/virtio.ko',
      'kernel/drivers/block/virtio_blk.ko',
    ]);
  });

  it('names every module once', () => {
    const order = loadOrder(['virtio_blk', 'virtio_rng', 'virtio'], index);
    expect(new Set(order).size).to.equal(order.length);
    expect(order).to.have.lengthOf(4);
  });

  it('finds a module whose file has dashes and is compressed', () => {
    expect(loadOrder(['virtio_rng'], index).at(-1)).to.equal(
      'kernel/drivers/char/hw_random/virtio-rng.ko.xz',
    );
    expect(moduleName('kernel/a/virtio-rng.ko.xz')).to.equal('virtio_rng');
  });

  it('leaves out what the kernel has built in', () => {
    expect(loadOrder(['ext4'], index)).to.deep.equal([]);
  });

  it('refuses a module that the kernel does not have', () => {
    expect(() => loadOrder(['nvme'], index))
      .to.throw()
      .that.satisfies((error: unknown) => hasReason(error, 'HOST_REQUIREMENT'));
  });

  it('refuses modules that need each other', () => {
    const circle = parseModuleIndex('a.ko: b.ko\nb.ko: a.ko\n', '');
    expect(() => loadOrder(['a'], circle))
      .to.throw()
      .that.satisfies((error: unknown) => hasReason(error, 'HOST_REQUIREMENT'));
  });

  it('keeps every dependency before its module in any tree', () => {
    // Module n may need only modules with a smaller number, so there is no circle.
    const trees = fc.array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(trees, (numbers) => {
        const lines = numbers.map((needed, module) => {
          const paths = module === 0 ? [] : needed.map((number) => `m${number % module}.ko`);
          return `m${module}.ko: ${paths.join(' ')}`;
        });
        const tree = parseModuleIndex(lines.reverse().join('\n'), '');
        const order = loadOrder([...tree.dependencies.keys()], tree);
        for (const [path, needed] of tree.dependencies) {
          for (const other of needed) {
            expect(order.indexOf(other)).to.be.below(order.indexOf(path));
          }
        }
      }),
    );
  });
});
