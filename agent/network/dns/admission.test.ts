import { expect } from 'chai';
import { Admission } from './admission.js';

const limits = { pendingMax: 4, pendingPerSourceMax: 2, ratePerSource: 10, burstPerSource: 3 };
const ignore = () => undefined;

describe('Admission', () => {
  it('bounds the questions of one source that are under way', () => {
    const admission = new Admission(limits);
    const leave = admission.enter('a', ignore, 0);
    admission.enter('a', ignore, 0);
    expect(admission.enter('a', ignore, 0)).to.equal(undefined);
    leave?.();
    expect(admission.enter('a', ignore, 0)).to.be.a('function');
  });

  it('bounds the questions of all sources together', () => {
    const admission = new Admission(limits);
    for (const source of ['a', 'b', 'c', 'd'])
      expect(admission.enter(source, ignore, 0)).to.be.a('function');
    expect(admission.enter('e', ignore, 0)).to.equal(undefined);
  });

  it('bounds the rate of a source, gives it back over time, and saves up no more than a burst', () => {
    const admission = new Admission(limits);
    const asked = (nowMs: number) => {
      const leave = admission.enter('a', ignore, nowMs);
      leave?.();
      return leave !== undefined;
    };
    expect([asked(0), asked(0), asked(0), asked(0)]).to.deep.equal([true, true, true, false]);
    expect([asked(100), asked(100)]).to.deep.equal([true, false]);
    expect([1, 2, 3, 4].map(() => asked(100_000))).to.deep.equal([true, true, true, false]);
  });

  it('leaves other sources their share', () => {
    const admission = new Admission(limits);
    for (let count = 0; count < 10; count += 1) admission.enter('a', ignore, 0);
    expect(admission.enter('b', ignore, 0)).to.be.a('function');
  });

  it('drops a question of the heaviest source for a source below its share', () => {
    const admission = new Admission(limits);
    const dropped: string[] = [];
    for (const source of ['a', 'a', 'b', 'b']) {
      admission.enter(source, () => dropped.push(source), 0);
    }
    expect(admission.enter('c', ignore, 0)).to.be.a('function');
    expect(dropped).to.deep.equal(['a']);
    expect(admission.enter('c', ignore, 0), 'its share is one').to.equal(undefined);
  });
});
