import { expect } from 'chai';
import { type Arm, measureInTurns, roundOrder } from './rounds.js';

describe('roundOrder', () => {
  it('puts every arm at every place equally often', () => {
    const rounds = Array.from({ length: 6 }, (_, round) => roundOrder(round, 3));
    for (const place of [0, 1, 2]) {
      const arms = rounds.map((order) => order[place]).sort();
      expect(arms).to.deep.equal([0, 0, 1, 1, 2, 2]);
    }
  });

  it('lets an arm follow more than one other arm', () => {
    const rounds = Array.from({ length: 6 }, (_, round) => roundOrder(round, 3));
    const before = rounds.map((order) => order[order.indexOf(1) - 1]).filter((arm) => arm != null);
    expect(new Set(before)).to.deep.equal(new Set([0, 2]));
  });
});

describe('measureInTurns', () => {
  const { signal } = new AbortController();

  it('drops the rounds that warm up and keeps the order of the others', async () => {
    const done: number[] = [];
    const samples = await measureInTurns([counter(), counter(100)], {
      ...{ rounds: 3, warmUpRounds: 2, signal },
      onRound: (round) => done.push(round),
    });
    expect(samples).to.deep.equal([
      [3, 4, 5],
      [103, 104, 105],
    ]);
    expect(done).to.deep.equal([1, 2, 3, 4, 5]);
  });

  it('makes no further call once the signal has aborted', async () => {
    const controller = new AbortController();
    let calls = 0;
    const arm: Arm = {
      name: 'ends the run',
      measure: async () => {
        calls += 1;
        controller.abort(new Error('interrupted'));
        return 1;
      },
    };
    const options = { rounds: 5, warmUpRounds: 0, signal: controller.signal, onRound: () => {} };
    const ended = await measureInTurns([arm, arm], options).catch((error: unknown) => error);
    expect(ended).to.equal(controller.signal.reason);
    expect(calls).to.equal(1);
  });
});

function counter(from = 0): Arm {
  let value = from;
  return {
    name: 'counts',
    measure: async () => {
      value += 1;
      return value;
    },
  };
}
