import { expect } from 'chai';
import { SingleFlight } from './single-flight.js';

describe('SingleFlight', () => {
  it('does the same thing once for all who want it at the same time', async () => {
    const flights = new SingleFlight<number>();
    let calls = 0;
    const work = async () => {
      calls += 1;
      await new Promise(setImmediate);
      return calls;
    };
    const answers = await Promise.all(Array.from({ length: 200 }, () => flights.join('key', work)));
    expect(new Set(answers)).to.deep.equal(new Set([1]));
    expect(await flights.join('key', work)).to.equal(2);
  });

  it('gives all the same failure, and remembers it no longer than that', async () => {
    const flights = new SingleFlight<string>();
    const failing = () => Promise.reject(new Error('failed'));
    const outcomes = await Promise.allSettled([
      flights.join('key', failing),
      flights.join('key', failing),
    ]);
    expect(outcomes.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
    expect(flights.get('key')).to.equal(undefined);
    expect(await flights.join('key', async () => 'done')).to.equal('done');
  });

  it('keeps keys apart', async () => {
    const flights = new SingleFlight<string>();
    const both = [flights.join('a', async () => 'a'), flights.join('b', async () => 'b')];
    expect(await Promise.all(both)).to.deep.equal(['a', 'b']);
  });
});
