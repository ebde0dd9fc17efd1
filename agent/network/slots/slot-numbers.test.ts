import { expect } from 'chai';
import fc from 'fast-check';
import { SlotNumbers } from './slot-numbers.js';

const any = () => true;

describe('SlotNumbers', () => {
  it('gives fresh numbers in ascending order, then freed ones, longest rested first', () => {
    const numbers = new SlotNumbers(4);
    expect([numbers.take('a', any), numbers.take('b', any)]).to.deep.equal([1, 2]);
    numbers.free(2, 'b');
    numbers.free(1, 'a');
    const order = ['c', 'd', 'e', 'f', 'g'].map((lease) => numbers.take(lease, any));
    expect(order).to.deep.equal([3, 4, 2, 1, undefined]);
  });

  it('passes over numbers that are not usable and comes back to them', () => {
    const numbers = new SlotNumbers(3);
    expect(numbers.take('a', (index) => index !== 1)).to.equal(2);
    expect(numbers.take('b', (index) => index !== 1)).to.equal(3);
    expect(numbers.take('c', (index) => index !== 1)).to.equal(undefined);
    expect(numbers.take('c', any)).to.equal(1);
  });

  it('does not give out a claimed number, claimed before or after its turn', () => {
    const numbers = new SlotNumbers(3);
    expect(numbers.claim(2, 'old')).to.equal(true);
    expect(numbers.claim(2, 'old'), 'the same holder again').to.equal(true);
    expect(numbers.claim(2, 'other'), 'another holder').to.equal(false);
    expect([numbers.take('a', any), numbers.take('b', any)]).to.deep.equal([1, 3]);
    numbers.free(1, 'a');
    expect(numbers.claim(1, 'old')).to.equal(true);
    expect(numbers.take('c', any)).to.equal(undefined);
    numbers.free(2, 'old');
    expect(numbers.take('c', any)).to.equal(2);
  });

  it('ignores a free by who does not hold the number', () => {
    const numbers = new SlotNumbers(1);
    numbers.take('a', any);
    numbers.free(1, 'b');
    expect(numbers.leaseOf(1)).to.equal('a');
    numbers.free(1, 'a');
    numbers.free(1, 'a');
    expect(numbers.take('b', any)).to.equal(1);
    expect(numbers.take('c', any)).to.equal(undefined);
  });

  it('never has two holders of a number and loses none, in any order of calls', () => {
    const step = fc.oneof(
      fc.constant({ kind: 'take' as const, index: 0 }),
      fc.record({ kind: fc.constant('free' as const), index: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ kind: fc.constant('claim' as const), index: fc.integer({ min: 1, max: 6 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const numbers = new SlotNumbers(6);
        const holders = new Map<number, string>();
        for (const [turn, { kind, index }] of steps.entries()) {
          const lease = `lease${turn}`;
          if (kind === 'take') {
            const taken = numbers.take(lease, any);
            expect(taken === undefined).to.equal(holders.size === 6);
            if (taken === undefined) continue;
            expect(holders.has(taken)).to.equal(false);
            holders.set(taken, lease);
          } else if (kind === 'free') {
            numbers.free(index, holders.get(index) ?? 'nobody');
            holders.delete(index);
          } else {
            expect(numbers.claim(index, lease)).to.equal(!holders.has(index));
            if (!holders.has(index)) holders.set(index, lease);
          }
          expect(numbers.takenCount).to.equal(holders.size);
        }
      }),
    );
  });
});
