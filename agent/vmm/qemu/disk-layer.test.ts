import { expect } from 'chai';
import { filePathOf } from './disk-layer.js';

describe('disk layers of a QEMU machine', () => {
  it('are known by their paths, however QEMU names them', () => {
    const options = { driver: 'qcow2', file: { driver: 'file', filename: '/a/disk.qcow2' } };

    expect(filePathOf('/a/disk.qcow2')).to.equal('/a/disk.qcow2');
    expect(filePathOf(`json:${JSON.stringify(options)}`)).to.equal('/a/disk.qcow2');
    expect(() => filePathOf('json:{"driver":"null-co"}')).to.throw(Error);
  });
});
