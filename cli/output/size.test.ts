import { expect } from 'chai';
import { formatSize } from './size.js';

describe('formatSize', () => {
  it('names a size by the largest unit that it fills', () => {
    const sizes = [0, 512, 1024, 4096, 1536 * 1024, 151 * 1024 ** 2, 2 * 1024 ** 3, 3 * 1024 ** 4];
    expect(sizes.map(formatSize)).to.deep.equal([
      '0 bytes',
      '512 bytes',
      '1.0 KiB',
      '4.0 KiB',
      '1.5 MiB',
      '151 MiB',
      '2.0 GiB',
      '3.0 TiB',
    ]);
  });
});
