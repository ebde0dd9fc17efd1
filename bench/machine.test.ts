import { expect } from 'chai';
import { parseCpuTimes } from './machine.js';

describe('parseCpuTimes', () => {
  it('adds up the processors and counts waiting for a disk as idle', () => {
    const stat = 'cpu  100 10 50 800 30 5 5 20 7 0\ncpu0 50 5 25 400 15 2 3 10 7 0\n';
    // Guest time, the 7, is in user time already.
    expect(parseCpuTimes(stat)).to.deep.equal({ total: 1020, idle: 830, stolen: 20 });
  });
});
