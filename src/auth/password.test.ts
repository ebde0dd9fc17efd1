import argon2 from 'argon2';
import { expect } from 'chai';
import { WrennError } from '../../lib/errors/index.js';
import {
  HASHES_AT_ONCE_MAX,
  HASHES_PER_CLIENT_MAX,
  HASHES_WAITING_MAX,
  PasswordHasher,
} from './password.js';

describe('PasswordHasher', () => {
  const hasher = new PasswordHasher();

  it('stores argon2id with at least 19 MiB and two passes, salted', async () => {
    const [hash, again] = await Promise.all([hasher.hash('a password'), hasher.hash('a password')]);
    expect(hash).to.match(
      /^\$argon2id\$v=19\$m=19456,p=1,t=2\$|^\$argon2id\$v=19\$m=19456,t=2,p=1\$/,
    );
    expect(hash).not.to.equal(again);
  });

  it('takes the right password and no other', async () => {
    const hash = await hasher.hash('right password');
    expect(await hasher.verify(hash, 'right password')).to.equal(true);
    expect(await hasher.verify(hash, 'wrong password')).to.equal(false);
  });

  it('takes the same characters in another Unicode form', async () => {
    const hash = await hasher.hash('Å ﬁne password');
    expect(await hasher.verify(hash, 'A\u030a fine password')).to.equal(true);
  });

  it('is false for an unknown user, also with the password of the dummy hash', async () => {
    expect(await hasher.verify(undefined, 'nobody has this password')).to.equal(false);
  });

  it('finds hashes of weaker parameters outdated, and today’s not', async () => {
    const weak = await argon2.hash('x', { memoryCost: 1024, timeCost: 2, parallelism: 1 });
    expect(hasher.isOutdated(weak)).to.equal(true);
    expect(hasher.isOutdated(await hasher.hash('x'))).to.equal(false);
  });

  it('refuses what is beyond its queue at once, and serves the rest', async function () {
    this.timeout(60_000);
    const places = HASHES_AT_ONCE_MAX + HASHES_WAITING_MAX;
    const outcomes = await Promise.allSettled(
      Array.from({ length: places + 20 }, () => hasher.hash('x')),
    );
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused).to.have.length(20);
    for (const { reason } of refused) {
      expect(reason).to.be.instanceOf(WrennError);
      expect(reason.reason).to.equal('TOO_MANY_LOGINS');
      expect(reason.retryAfterSec).to.be.greaterThan(0);
    }
    expect(await hasher.hash('x')).to.be.a('string');
  });

  it('gives one client only some of its places, and the others to other clients', async function () {
    this.timeout(60_000);
    const crowd = Promise.allSettled(
      Array.from({ length: HASHES_AT_ONCE_MAX + HASHES_WAITING_MAX }, (_, index) =>
        hasher.hash('x', { clientAddress: `2001:db8::${index + 1}` }),
      ),
    );
    expect(await hasher.hash('x', { clientAddress: '192.0.2.1' })).to.be.a('string');
    const served = (await crowd).filter(({ status }) => status === 'fulfilled');
    expect(served).to.have.length(HASHES_PER_CLIENT_MAX);
    expect(await hasher.hash('x', { clientAddress: '2001:db8::1' })).to.be.a('string');
  });
});
