import { expect } from 'chai';
import { WORKING_SET_BLOCKS_MAX } from '../../native/addon/binding.js';
import { joinWorkingSets } from './working-set.js';

const join = (demanded: number[], replayed: number[]) => [
  ...joinWorkingSets(Uint32Array.from(demanded), Uint32Array.from(replayed)),
];

describe('joined working sets', () => {
  it('have what was demanded first, then what was brought in advance', () => {
    expect(join([40, 2, 10, 1], [5, 3])).to.deep.equal([40, 2, 10, 1, 5, 3]);
  });

  it('name each block once', () => {
    expect(join([4, 2, 5, 2], [0, 10, 20, 1])).to.deep.equal([4, 3, 0, 4, 7, 3, 20, 1]);
  });

  it('are runs as long as can be', () => {
    expect(join([7, 1, 8, 2], [10, 5])).to.deep.equal([7, 8]);
  });

  it('are empty when nothing is known', () => {
    expect(join([], [])).to.deep.equal([]);
  });

  it('end at the most blocks that may be replayed', () => {
    const most = WORKING_SET_BLOCKS_MAX;
    expect(join([9, 1], [100, most])).to.deep.equal([9, 1, 100, most - 1]);
  });
});
