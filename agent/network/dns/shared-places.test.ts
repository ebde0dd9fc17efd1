import { expect } from 'chai';
import { SharedPlaces } from './shared-places.js';

describe('SharedPlaces', () => {
  const ignore = () => undefined;

  it('bounds the places of one source and of all, and gives a place out again', () => {
    const places = new SharedPlaces({ totalMax: 3, perSourceMax: 2 });
    const giveBack = places.take('a', ignore);
    places.take('a', ignore);
    expect(places.take('a', ignore)).to.equal(undefined);
    places.take('b', ignore);
    expect(places.take('b', ignore)).to.equal(undefined);
    giveBack?.();
    giveBack?.();
    expect(places.take('b', ignore)).to.be.a('function');
    expect(places.take('c', ignore), 'given back once').to.be.a('function');
  });

  it('gives a source below its share the oldest place of the source that has most', () => {
    const places = new SharedPlaces({ totalMax: 8, perSourceMax: 5 });
    const lost: string[] = [];
    const take = (source: string, name: string) => places.take(source, () => lost.push(name));
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) take('a', name);
    for (const name of ['b1', 'b2', 'b3']) take('b', name);

    expect(take('c', 'c1')).to.be.a('function');
    expect(take('c', 'c2')).to.be.a('function');
    expect(take('c', 'c3'), 'its share is two').to.equal(undefined);
    expect(lost).to.deep.equal(['a1', 'a2']);
  });

  it('counts a lost place once, also when its holder gives it back', () => {
    const places = new SharedPlaces({ totalMax: 2, perSourceMax: 2 });
    const giveBack = places.take('a', ignore);
    places.take('a', ignore);
    places.take('b', ignore);
    giveBack?.();
    expect(places.take('c', ignore)).to.equal(undefined);
  });

  it('takes from nobody who has one place alone', () => {
    const places = new SharedPlaces({ totalMax: 2, perSourceMax: 2 });
    places.take('a', expect.fail);
    places.take('b', expect.fail);
    expect(places.take('c', ignore)).to.equal(undefined);
  });

  it('does not take the same place back and forth', () => {
    const places = new SharedPlaces({ totalMax: 4, perSourceMax: 4 });
    const lost: string[] = [];
    const take = (source: string) => places.take(source, () => lost.push(source));
    for (const source of ['a', 'a', 'b', 'c']) take(source);
    for (const source of ['b', 'c', 'a', 'b', 'c']) expect(take(source)).to.equal(undefined);
    expect(lost).to.deep.equal([]);
  });
});
