import { expect } from 'chai';
import { ChangeCounter } from './change-counter.js';

describe('ChangeCounter', () => {
  const { signal } = new AbortController();

  it('answers at once a watcher who has seen nothing, and later only after a change', async () => {
    const changes = new ChangeCounter();
    const seen = await changes.after(-1, signal);
    const next = changes.after(seen, signal);
    changes.bump();
    changes.bump();
    expect(await next).to.be.greaterThan(seen);
  });

  it('lets a watcher catch up with changes that it did not wait for', async () => {
    const changes = new ChangeCounter();
    changes.bump();
    changes.bump();
    expect(await changes.after(1, signal)).to.equal(2);
  });

  it('lets a watcher leave', async () => {
    const changes = new ChangeCounter();
    const controller = new AbortController();
    const waiting = changes.after(0, controller.signal);
    controller.abort(new Error('gone'));
    expect(await waiting.catch((error: Error) => error.message)).to.equal('gone');
    changes.bump();
  });
});
