import { expect } from 'chai';
import {
  ACCOUNT_FREE_ATTEMPTS,
  ADDRESS_FREE_ATTEMPTS,
  COUNTERS_MAX,
  LoginThrottle,
  SIGN_UP_FREE_ATTEMPTS,
  WAIT_MS_MAX,
} from './login-throttle.js';

describe('LoginThrottle', () => {
  let now: number;
  let throttle: LoginThrottle;
  beforeEach(() => {
    now = 0;
    throttle = new LoginThrottle(() => now);
  });

  it('lets some attempts fail, and then asks for waits that double', () => {
    fail(ACCOUNT_FREE_ATTEMPTS);
    const waits = [1, 2, 3, 4].map(() => {
      const waitSec = refused();
      now += waitSec * 1000;
      fail(1);
      return waitSec;
    });
    expect(waits).to.deep.equal([1, 2, 4, 8]);
  });

  it('counts attempts that begin at the same moment', () => {
    for (let attempt = 0; attempt < ACCOUNT_FREE_ATTEMPTS; attempt += 1) begin();
    expect(refused()).to.be.greaterThan(0);
  });

  it('never asks for more than a quarter of an hour', () => {
    for (let attempt = 0; attempt < 200; attempt += 1) {
      now += WAIT_MS_MAX;
      fail(1);
    }
    expect(refused() * 1000).to.equal(WAIT_MS_MAX);
  });

  it('forgets an account’s failures when the password was right', () => {
    fail(ACCOUNT_FREE_ATTEMPTS - 1);
    begin().succeed();
    fail(ACCOUNT_FREE_ATTEMPTS - 1);
    begin();
  });

  it('does not count what was never decided', () => {
    for (let attempt = 0; attempt < 1000; attempt += 1) begin().withdraw();
    begin();
  });

  it('stops one address that tries many accounts, and leaves other addresses alone', () => {
    for (let attempt = 0; attempt < ADDRESS_FREE_ATTEMPTS; attempt += 1) {
      throttle.begin(`account${attempt}`, '192.0.2.1');
    }
    expect(refused('another', '192.0.2.1')).to.be.greaterThan(0);
    throttle.begin('another', '192.0.2.2');
  });

  it('keeps the counter of an account under attack when many other accounts come', () => {
    const half = ACCOUNT_FREE_ATTEMPTS / 2;
    fail(half);
    comeFromElsewhere(COUNTERS_MAX - 1);
    fail(half);
    comeFromElsewhere(COUNTERS_MAX - 1);
    expect(refused()).to.be.greaterThan(0);
  });

  it('forgets a quiet account', () => {
    fail(ACCOUNT_FREE_ATTEMPTS);
    now += WAIT_MS_MAX + 1;
    fail(ACCOUNT_FREE_ATTEMPTS - 1);
    begin();
  });

  it('stops one address that signs up again and again, and lets it log in', () => {
    for (let attempt = 0; attempt < SIGN_UP_FREE_ATTEMPTS; attempt += 1) {
      throttle.beginSignUp('2001:db8::1');
    }
    expect(() => throttle.beginSignUp('2001:db8::2'))
      .to.throw()
      .with.property('reason', 'TOO_MANY_LOGINS');
    throttle.beginSignUp('192.0.2.2');
    throttle.begin('victim@example.com', '2001:db8::1');
  });

  it('does not count a sign-up that was never decided', () => {
    for (let attempt = 0; attempt < 1000; attempt += 1) throttle.beginSignUp('192.0.2.9')();
    throttle.beginSignUp('192.0.2.9');
  });

  function begin() {
    return throttle.begin('victim@example.com', '192.0.2.9');
  }

  function fail(times: number): void {
    for (let attempt = 0; attempt < times; attempt += 1) begin();
  }

  function comeFromElsewhere(accounts: number): void {
    for (let account = 0; account < accounts; account += 1) {
      throttle.begin(`account${account}`, `address${account}`);
    }
  }

  /** Seconds to wait that a refused attempt names. */
  function refused(account = 'victim@example.com', address = '192.0.2.9'): number {
    try {
      throttle.begin(account, address);
    } catch (error) {
      const { reason, retryAfterSec } = error as { reason: string; retryAfterSec: number };
      expect(reason).to.equal('TOO_MANY_LOGINS');
      return retryAfterSec;
    }
    throw new Error('the attempt was not refused');
  }
});
