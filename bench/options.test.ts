import { expect } from 'chai';
import { BENCH_NAMES, parseOptions } from './options.js';

describe('options of benchmarks', () => {
  it('run all benchmarks when none is named, each with its own number of rounds', () => {
    const { names, options } = parseOptions([]);

    expect(names).to.deep.equal(BENCH_NAMES);
    expect(options).to.deep.equal({ boots: 5, driver: 'qemu', json: false });
  });

  it('run those that are named, in the order of the names', () => {
    const { names, options } = parseOptions(['merge', 'diff', '--count', '3', '--json']);

    expect(names).to.deep.equal(['merge', 'diff']);
    expect(options).to.include({ count: 3, json: true });
  });
});
