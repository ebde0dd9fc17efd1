import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { LinkedSignal } from './linked-signal.js';

describe('LinkedSignal', () => {
  it('aborts with the first of its sources, for its reason', () => {
    const [one, other] = [new AbortController(), new AbortController()];
    using linked = new LinkedSignal(one.signal, other.signal);
    expect(linked.signal.aborted).to.equal(false);

    other.abort('second');
    one.abort('first');

    expect(linked.signal.reason).to.equal('second');
  });

  it('is aborted from the start when a source is', () => {
    using linked = new LinkedSignal(new AbortController().signal, AbortSignal.abort('before'));

    expect(linked.signal.reason).to.equal('before');
  });

  it('leaves nothing with its sources, let go of or aborted', () => {
    const [one, other] = [new AbortController(), new AbortController()];
    const first = new LinkedSignal(one.signal, other.signal);
    first[Symbol.dispose]();
    const second = new LinkedSignal(one.signal, other.signal);

    one.abort(new Error('over'));

    expect(first.signal.aborted).to.equal(false);
    expect(second.signal.aborted).to.equal(true);
    for (const { signal } of [one, other]) {
      expect(getEventListeners(signal, 'abort')).to.deep.equal([]);
      // What AbortSignal.any would leave.
      const sets = Object.getOwnPropertySymbols(signal)
        .filter((symbol) => symbol.description === 'kDependantSignals')
        .map((symbol) => Reflect.get(signal, symbol));
      expect(sets.every((set) => set === undefined || set.size === 0)).to.equal(true);
    }
  });
});
