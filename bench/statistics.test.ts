import { expect } from 'chai';
import { compare, medianInterval, summarize } from './statistics.js';

const ONE_TO_ELEVEN = [7, 1, 11, 3, 9, 5, 2, 8, 4, 10, 6];

describe('summarize', () => {
  it('gives the order statistics of samples in any order', () => {
    expect(summarize(ONE_TO_ELEVEN)).to.deep.equal({
      ...{ count: 11, min: 1, median: 6, p90: 10, max: 11 },
    });
  });

  it('interpolates the median of an even number of samples', () => {
    expect(summarize([4, 1, 2, 3]).median).to.equal(2.5);
  });

  it('gives no ninth decile of a few samples', () => {
    expect(summarize([1, 2, 3]).p90).to.equal(undefined);
  });

  it('sorts by value, not by text', () => {
    expect(summarize([10, 9, 100])).to.include({ min: 9, median: 10, max: 100 });
  });

  it('refuses to summarize nothing', () => {
    expect(() => summarize([])).to.throw(RangeError);
  });
});

describe('compare', () => {
  it('takes the ratio within each pair', () => {
    // A machine that becomes ten times slower half-way changes neither pair.
    const { ratio, ratioOfMinima, difference } = compare([2, 2, 20], [1, 1, 10]);
    expect({ ratio, ratioOfMinima, difference }).to.deep.equal({
      ...{ ratio: 2, ratioOfMinima: 2, difference: 1 },
    });
  });

  it('is not moved by a single outlier', () => {
    const baseline = ONE_TO_ELEVEN.map(() => 10);
    const samples = baseline.map((value, index) => (index === 4 ? 5000 : value * 1.5));
    const { ratio, ratioInterval } = compare(samples, baseline);
    expect(ratio).to.equal(1.5);
    expect(ratioInterval).to.deep.equal({ low: 1.5, high: 1.5 });
  });

  it('refuses samples that have no partner', () => {
    expect(() => compare([1, 2], [1])).to.throw(RangeError);
  });
});

describe('medianInterval', () => {
  it('encloses the median and lies within the samples', () => {
    const { low, high } = medianInterval(ONE_TO_ELEVEN);
    expect(low).to.be.within(1, 5);
    expect(high).to.be.within(7, 11);
  });

  it('is the whole range for three samples', () => {
    expect(medianInterval([3, 1, 2])).to.deep.equal({ low: 1, high: 3 });
  });

  it('becomes narrower with more samples of the same spread', () => {
    const many = Array.from({ length: 20 }, () => ONE_TO_ELEVEN).flat();
    const [few, more] = [ONE_TO_ELEVEN, many].map(medianInterval);
    expect((more?.high ?? 0) - (more?.low ?? 0)).to.be.below((few?.high ?? 0) - (few?.low ?? 0));
  });

  it('is the same each time', () => {
    expect(medianInterval(ONE_TO_ELEVEN)).to.deep.equal(medianInterval(ONE_TO_ELEVEN));
  });
});
