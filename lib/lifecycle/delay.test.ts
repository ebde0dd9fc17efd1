import { expect } from 'chai';
import { delay, retry } from './delay.js';

describe('retry', () => {
  const fast = { timeoutMs: 1000, pauseMs: 1, pauseMsMax: 2 };

  it('tries until it succeeds', async () => {
    let tries = 0;
    const result = await retry(async () => {
      tries += 1;
      if (tries < 3) throw new Error('not yet');
      return tries;
    }, fast);
    expect(result).to.equal(3);
  });

  it('throws a final error at once', async () => {
    let tries = 0;
    const failing = retry(
      async () => {
        tries += 1;
        throw new Error('final');
      },
      { ...fast, retryable: () => false },
    );
    expect(await failing.catch((error: Error) => error.message)).to.equal('final');
    expect(tries).to.equal(1);
  });

  it('throws the last error when time runs out', async () => {
    const failing = retry(() => Promise.reject(new Error('last')), { ...fast, timeoutMs: 5 });
    expect(await failing.catch((error: Error) => error.message)).to.equal('last');
  });

  it('throws the reason of an aborted signal', async () => {
    const controller = new AbortController();
    const failing = retry(() => Promise.reject(new Error('not yet')), {
      ...fast,
      signal: controller.signal,
    });
    controller.abort(new Error('gone'));
    expect(await failing.catch((error: Error) => error.message)).to.equal('gone');
  });
});

describe('delay', () => {
  it('rejects with the reason of the signal', async () => {
    const controller = new AbortController();
    const waiting = delay(60_000, controller.signal);
    controller.abort(new Error('gone'));
    expect(await waiting.catch((error: Error) => error.message)).to.equal('gone');
  });
});
