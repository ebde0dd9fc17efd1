/** What the control plane does when its database goes away and comes back. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Code, WrennError } from '../../lib/errors/index.js';
import { silentLog } from '../../lib/log/log.js';
import { EmbeddedPostgres } from '../../lib/postgres/embedded.js';
import {
  type Account,
  ANYBODY,
  PASSWORD,
  plainSandbox,
  useControlPlane,
  withMetadata,
} from '../support/control-plane.js';
import { eventually } from '../support/eventually.js';

/** Promised: calls succeed again so long after the database is back. */
const RECOVERY_TIMEOUT_MS = 5000;

describe('a control plane whose database', () => {
  let directory: string;
  let server: EmbeddedPostgres;
  const test = useControlPlane({
    environment: { WRENN_RECONCILE_INTERVAL_MS: '100', WRENN_RECONCILE_GRACE_MS: '0' },
    connection: async () => {
      directory ??= await mkdtemp(join(tmpdir(), 'wrenn-db-'));
      server ??= await startPostgres(directory);
      return server.connection;
    },
  });
  after(async function () {
    this.timeout(60_000);
    await server?.stop();
    if (directory) await rm(directory, { recursive: true, force: true });
  });
  let account: Account;
  let sandboxId: string;
  before(async () => {
    account = await test.signUp();
    ({ sandboxId } = await test.clients.sandboxes.createSandbox(plainSandbox(), account.asTeam));
  });
  afterEach(() => {
    expect([...test.agent.sandboxes.keys()]).to.include(sandboxId);
    expect(test.agent.destroyed).to.deep.equal([]);
  });

  it('is killed answers UNAVAILABLE, then works again, and loses no sandbox', async function () {
    this.timeout(60_000);
    process.kill(server.pid as number, 'SIGKILL');
    await eventually(async () => {
      const error = await errorOf(logIn());
      expect([error?.code, error?.reason]).to.deep.equal([
        ...[Code.UNAVAILABLE, 'DATABASE_UNAVAILABLE'],
      ]);
    });
    await eventually(() => logIn(), { timeoutMs: 30_000 });
    await eventually(exec, { timeoutMs: RECOVERY_TIMEOUT_MS });
  });

  it('loses all connections at once answers UNAVAILABLE at worst, and then at once again', async () => {
    await Promise.all(Array.from({ length: 10 }, () => get()));
    await terminateConnections();
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => errorOf(get())));
    for (const error of outcomes)
      expect(error?.reason).to.be.oneOf([undefined, 'DATABASE_UNAVAILABLE']);
    await eventually(exec, { timeoutMs: RECOVERY_TIMEOUT_MS });
  });

  it('is stopped and started again is served again without a restart', async function () {
    this.timeout(60_000);
    await server.stop();
    const error = await errorOf(get());
    expect([error?.code, error?.reason]).to.deep.equal([Code.UNAVAILABLE, 'DATABASE_UNAVAILABLE']);
    expect(error?.retryAfterSec).to.be.greaterThan(0);
    server = await startPostgres(directory);
    await eventually(exec, { timeoutMs: RECOVERY_TIMEOUT_MS });
  });

  it('breaks off a signup has all of the user or nothing', async function () {
    this.timeout(60_000);
    const emails = Array.from({ length: 20 }, (_, index) => `cut${index}@example.com`);
    const signups = emails.map((email) =>
      errorOf(test.clients.auth.signUp({ email, password: PASSWORD, name: '' }, ANYBODY)),
    );
    await Promise.race(signups);
    await terminateConnections();
    const errors = await Promise.all(signups);
    const counts = await eventually(async () => {
      const { rows } = await test.controlPlane.internal.database.query((knex) =>
        knex.raw(
          `select (select count(*) from users)::int as users, (select count(*) from teams)::int as teams,
                  (select count(*) from users_teams)::int as memberships`,
        ),
      );
      return rows[0];
    });
    expect([counts.teams, counts.memberships]).to.deep.equal([counts.users, counts.users]);
    for (const [index, error] of errors.entries()) {
      expect(error?.reason).to.be.oneOf([undefined, 'DATABASE_UNAVAILABLE', 'TOO_MANY_LOGINS']);
      const email = emails[index] ?? '';
      // Who was answered can log in.
      if (!error) await test.clients.auth.logIn({ email, password: PASSWORD }, ANYBODY);
    }
  });

  async function terminateConnections(): Promise<void> {
    const { database } = test.controlPlane.internal;
    await errorOf(
      database.query((knex) =>
        knex.raw(
          `select pg_terminate_backend(pid) from pg_stat_activity
            where application_name = 'wrenn' and pid <> pg_backend_pid()`,
        ),
      ),
    );
  }

  function logIn() {
    return test.clients.auth.logIn({ email: account.email, password: PASSWORD }, ANYBODY);
  }

  function get() {
    // A token is looked up in the database at each call, a key only every few seconds.
    return test.clients.auth.getMe({}, withMetadata(account.asUser.metadata ?? {}));
  }

  function exec() {
    const nothing = { args: [], timeoutSec: 0, env: {}, cwd: '', user: '', stdin: Buffer.alloc(0) };
    return test.clients.processes.exec({ sandboxId, cmd: 'true', ...nothing }, account.asTeam);
  }
});

function startPostgres(directory: string): Promise<EmbeddedPostgres> {
  return EmbeddedPostgres.start({
    directory: join(directory, 'db'),
    socketDirectory: join(directory, 'run'),
    log: silentLog,
    settings: { fsync: 'off' },
  });
}

async function errorOf(call: Promise<unknown>): Promise<WrennError | undefined> {
  return call.then(
    () => undefined,
    (error: unknown) => WrennError.from(error),
  );
}
