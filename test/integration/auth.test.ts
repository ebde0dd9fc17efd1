import { expect } from 'chai';
import { Code } from '../../lib/errors/index.js';
import { fromTimestamp } from '../../lib/rpc/timestamp.js';
import { ACCOUNT_FREE_ATTEMPTS } from '../../src/auth/login-throttle.js';
import { HASHES_AT_ONCE_MAX, HASHES_WAITING_MAX } from '../../src/auth/password.js';
import { CLIENT_ADDRESS_KEY } from '../../src/client-address.js';
import {
  ANYBODY,
  PASSWORD,
  sandboxPage,
  useControlPlane,
  withMetadata,
} from '../support/control-plane.js';
import { eventually } from '../support/eventually.js';
import { reasonOf, rejectionOf } from '../support/rejection.js';
import { http } from './gateway-fixture.js';

describe('AuthService', () => {
  const test = useControlPlane();

  it('signs up a user with a default team and logs the user in', async () => {
    const { auth } = test.clients;
    const request = { email: 'Ada@Example.com', password: PASSWORD, name: '' };
    const session = await auth.signUp(request, ANYBODY);

    expect(session.user).to.include({ email: 'Ada@Example.com', name: 'Ada' });
    expect(session.team?.teamId).to.match(/^[a-z0-9]{26}$/);
    expect(session.user?.defaultTeamId).to.equal(session.team?.teamId);
    expect(session.expiresAt && fromTimestamp(session.expiresAt)).to.be.greaterThan(Date.now());

    const asUser = withMetadata({ authorization: `Bearer ${session.accessToken}` });
    expect(await auth.getMe({}, asUser)).to.deep.equal(session.user);
  });

  it('logs in with the address in any case', async () => {
    const { email, session } = await test.signUp();
    const again = await test.clients.auth.logIn(
      { email: email.toUpperCase(), password: PASSWORD },
      ANYBODY,
    );
    expect(again.user).to.deep.equal(session.user);
  });

  it('gives an address, in any case, to one of many who sign up with it at once', async () => {
    const emails = ['race@example.com', 'Race@Example.com', 'RACE@EXAMPLE.COM'];
    const outcomes = await Promise.allSettled(
      Array.from({ length: 12 }, (_, index) =>
        test.clients.auth.signUp(
          { email: emails[index % 3] ?? '', password: PASSWORD, name: '' },
          ANYBODY,
        ),
      ),
    );
    const lost = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(lost).to.have.length(11);
    for (const { reason } of lost) {
      expect([reason.code, reason.reason]).to.deep.equal([Code.ALREADY_EXISTS, 'EMAIL_TAKEN']);
    }
    const teams = await count(`select from teams where name ilike 'race'`);
    const memberships = await count(
      `select from users_teams join users on users.id = user_id where email_key = 'race@example.com'`,
    );
    expect([teams, memberships]).to.deep.equal([1, 1]);
  });

  it('adds user, team and membership together or not at all', async () => {
    const { database } = test.controlPlane.internal;
    const before = await count('select from users union all select from teams');
    await database.query((knex) =>
      knex.raw('alter table users_teams add constraint refuse check (false) not valid'),
    );
    try {
      const error = await rejectionOf(
        test.clients.auth.signUp(
          { email: 'half@example.com', password: PASSWORD, name: '' },
          ANYBODY,
        ),
      );
      expect([error.code, error.reason]).to.deep.equal([Code.INTERNAL, 'INTERNAL']);
    } finally {
      await database.query((knex) => knex.raw('alter table users_teams drop constraint refuse'));
    }
    expect(await count('select from users union all select from teams')).to.equal(before);
  });

  for (const [what, request] of Object.entries({
    'an address without @': { email: 'ada', password: PASSWORD, name: '' },
    'a short password': { email: 'a@example.com', password: 'short12', name: '' },
    'a long password': { email: 'a@example.com', password: 'x'.repeat(129), name: '' },
    'a name with a line break': { email: 'a@example.com', password: PASSWORD, name: 'a\nb' },
  })) {
    it(`refuses ${what}`, async () => {
      const error = await rejectionOf(test.clients.auth.signUp(request, ANYBODY));
      expect([error.code, error.reason]).to.deep.equal([Code.INVALID_ARGUMENT, 'INVALID_REQUEST']);
      expect(error.violations).to.have.length(1);
    });
  }

  it('says the same of a wrong password and of an unknown address', async () => {
    const { email } = await test.signUp();
    const wrong = await rejectionOf(
      test.clients.auth.logIn({ email, password: 'not the password' }, ANYBODY),
    );
    const unknown = await rejectionOf(
      test.clients.auth.logIn({ email: 'nobody@example.com', password: PASSWORD }, ANYBODY),
    );
    for (const error of [wrong, unknown]) {
      expect([error.code, error.reason]).to.deep.equal([Code.UNAUTHENTICATED, 'LOGIN_FAILED']);
    }
    expect(unknown.message).to.equal(wrong.message);
  });

  it('slows down who guesses a password, and lets API keys and other accounts be', async () => {
    const victim = await test.signUp();
    const guesses = await Promise.all(
      Array.from({ length: ACCOUNT_FREE_ATTEMPTS + 5 }, () =>
        rejectionOf(
          test.clients.auth.logIn(
            { email: victim.email, password: 'a guess' },
            // The public server does not believe what a client says of its address.
            withMetadata({ [CLIENT_ADDRESS_KEY]: `192.0.2.${Math.floor(Math.random() * 256)}` }),
          ),
        ),
      ),
    );
    const refused = guesses.filter(({ reason }) => reason === 'TOO_MANY_LOGINS');
    expect(refused).to.have.length(5);
    expect(
      refused.every(
        ({ code, retryAfterSec = 0 }) => code === Code.RESOURCE_EXHAUSTED && retryAfterSec > 0,
      ),
    ).to.equal(true);

    await test.clients.sandboxes.listSandboxes(sandboxPage(), victim.asTeam);
    const other = await test.signUp();
    await test.clients.auth.logIn({ email: other.email, password: PASSWORD }, ANYBODY);
  });

  it('lets others log in while one address signs up again and again', async () => {
    const { email } = await test.signUp();
    const signUps = Array.from({ length: HASHES_AT_ONCE_MAX + HASHES_WAITING_MAX }, (_, index) =>
      test.clients.auth.signUp(
        { email: `crowd${index}@example.com`, password: PASSWORD, name: '' },
        ANYBODY,
      ),
    );
    const crowd = Promise.allSettled(signUps);
    await Promise.any(signUps);
    const login = await http(
      { port: Number(test.controlPlane.httpAddress.split(':')[1]) },
      'POST',
      '/v1/auth/login',
      { body: { email, password: PASSWORD }, localAddress: '127.0.0.2' },
    );
    expect(login.status).to.equal(200);
    const refused = (await crowd).filter((outcome) => outcome.status === 'rejected');
    expect(refused.length).to.be.greaterThan(0);
    for (const { reason } of refused) expect(reason.reason).to.equal('TOO_MANY_LOGINS');
  });

  it('renews a hash of weaker parameters at the next login', async () => {
    const { database } = test.controlPlane.internal;
    const { email, session } = await test.signUp();
    const { hash } = await import('argon2');
    const weak = await hash(PASSWORD, { memoryCost: 1024, timeCost: 2, parallelism: 1 });
    const userId = session.user?.userId ?? '';
    await database.query((knex) =>
      knex('users').where('id', userId).update({ password_hash: weak }),
    );

    await test.clients.auth.logIn({ email, password: PASSWORD }, ANYBODY);
    await eventually(async () => {
      const [row] = await database.query((knex) => knex('users').where('id', userId));
      expect(row.password_hash).to.include('m=19456');
    });
    await test.clients.auth.logIn({ email, password: PASSWORD }, ANYBODY);
  });

  it('does not know a token whose user is gone', async () => {
    const { session, asUser } = await test.signUp();
    await test.controlPlane.internal.database.query((knex) =>
      knex('users').where('id', session.user?.userId).delete(),
    );
    expect(await reasonOf(test.clients.auth.getMe({}, asUser))).to.equal('CREDENTIAL_INVALID');
  });

  it('takes its tokens after a restart', async () => {
    const { asUser } = await test.signUp();
    await test.restart();
    await test.clients.auth.getMe({}, asUser);
  });

  it('refuses a call with more metadata than it takes', async () => {
    const { session } = await test.signUp();
    const padding = Object.fromEntries(
      Array.from({ length: 70 }, (_, index) => [`x-padding-${index}`, 'x']),
    );
    const authorization = `Bearer ${session.accessToken}`;
    for (const metadata of [padding, { 'x-padding': 'x'.repeat(20_000) }]) {
      const call = test.clients.auth.getMe({}, withMetadata({ authorization, ...metadata }));
      expect(await reasonOf(call)).to.equal('INVALID_REQUEST');
    }
  });

  async function count(query: string): Promise<number> {
    const { database } = test.controlPlane.internal;
    const { rows } = await database.query((knex) =>
      knex.raw(`select count(*)::int as count from (${query}) as found`),
    );
    return rows[0].count;
  }
});
