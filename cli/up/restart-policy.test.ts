import { expect } from 'chai';
import { type RestartLimits, RestartPolicy } from './restart-policy.js';

const LIMITS: RestartLimits = { pauseMs: 100, pauseMsMax: 400, endsMax: 5, windowMs: 10_000 };

describe('RestartPolicy', () => {
  it('doubles the pause up to its limit', () => {
    const policy = new RestartPolicy(LIMITS);
    expect([0, 1, 2, 3].map((now) => policy.ended(now))).to.deep.equal([100, 200, 400, 400]);
  });

  it('gives up after too many ends inside the window', () => {
    const policy = new RestartPolicy(LIMITS);
    for (const now of [0, 1, 2, 3]) expect(policy.ended(now)).to.be.a('number');
    expect(policy.ended(4)).to.equal(undefined);
  });

  it('forgets ends that are older than the window', () => {
    const policy = new RestartPolicy(LIMITS);
    for (let now = 0; now < 100_000; now += LIMITS.windowMs) {
      expect(policy.ended(now)).to.equal(100);
    }
  });

  it('starts with a clean record when the limits change', () => {
    const policy = new RestartPolicy({ ...LIMITS, endsMax: 2 });
    expect(policy.ended(0)).to.equal(100);
    policy.reset(LIMITS);
    expect(policy.ended(1)).to.equal(100);
    expect(policy.ended(2)).to.equal(200);
  });
});
