import { expect } from 'chai';
import { KeyedLock } from './keyed-lock.js';
import { mapConcurrently } from './map-concurrently.js';
import { Semaphore } from './semaphore.js';

/** A promise that the test settles. */
function gate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

describe('KeyedLock', () => {
  it('runs the holders of one key one after another, in order', async () => {
    const lock = new KeyedLock();
    const order: string[] = [];
    const first = gate();
    const a = lock.run('key', async () => {
      await first.opened;
      order.push('a');
    });
    const b = lock.run('key', async () => void order.push('b'));
    first.open();
    await Promise.all([a, b]);
    expect(order).to.deep.equal(['a', 'b']);
  });

  it('does not hold up another key', async () => {
    const lock = new KeyedLock();
    const first = gate();
    const held = lock.run('one', () => first.opened);
    expect(await lock.run('two', async () => 'done')).to.equal('done');
    first.open();
    await held;
  });

  it('goes on after a holder failed', async () => {
    const lock = new KeyedLock();
    const failed = lock.run('key', () => Promise.reject(new Error('failed')));
    const next = lock.run('key', async () => 'done');
    expect(await failed.catch((error: Error) => error.message)).to.equal('failed');
    expect(await next).to.equal('done');
  });
});

describe('Semaphore', () => {
  it('lets only as many run as it has room for', async () => {
    const semaphore = new Semaphore(2);
    let running = 0;
    let runningMax = 0;
    const work = async () => {
      running += 1;
      runningMax = Math.max(runningMax, running);
      await new Promise(setImmediate);
      running -= 1;
    };
    await Promise.all(Array.from({ length: 10 }, () => semaphore.run(work)));
    expect(runningMax).to.equal(2);
  });

  it('lets a waiter leave when its signal aborts, and serves the next', async () => {
    const semaphore = new Semaphore(1);
    const first = gate();
    const held = semaphore.run(() => first.opened);
    const controller = new AbortController();
    const leaving = semaphore.run(async () => 'never', controller.signal);
    const staying = semaphore.run(async () => 'served');
    controller.abort(new Error('left'));
    expect(await leaving.catch((error: Error) => error.message)).to.equal('left');
    first.open();
    await held;
    expect(await staying).to.equal('served');
  });

  it('frees the room of work that failed', async () => {
    const semaphore = new Semaphore(1);
    await semaphore.run(() => Promise.reject(new Error('failed'))).catch(() => undefined);
    expect(await semaphore.run(async () => 'served')).to.equal('served');
  });
});

describe('mapConcurrently', () => {
  it('keeps the order and the limit', async () => {
    let running = 0;
    let runningMax = 0;
    const doubled = await mapConcurrently([1, 2, 3, 4, 5], 2, async (value) => {
      running += 1;
      runningMax = Math.max(runningMax, running);
      await new Promise(setImmediate);
      running -= 1;
      return value * 2;
    });
    expect(doubled).to.deep.equal([2, 4, 6, 8, 10]);
    expect(runningMax).to.equal(2);
  });
});
