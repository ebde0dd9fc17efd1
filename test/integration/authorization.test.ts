/** Every method of the public API with every kind of credential. A method without a row here fails the first test. */
import { expect } from 'chai';
import jwt from 'jsonwebtoken';
import { SandboxState } from '../../gen/ts/wrenn/v1/sandbox.js';
import { Code, type Reason, WrennError } from '../../lib/errors/index.js';
import type { ClientCallOptions } from '../../lib/rpc/client.js';
import { descriptors } from '../../lib/rpc/descriptors.js';
import { generateApiKeySecret } from '../../src/auth/api-key-secret.js';
import {
  type Account,
  ANYBODY,
  plainSandbox,
  useControlPlane,
  withMetadata,
} from '../support/control-plane.js';
import { PAGE, ROWS, type Row, type Target } from './authorization-rows.js';

const JWT_SECRET = 'the secret of this test, long enough';

describe('authorization', () => {
  const test = useControlPlane({ environment: { WRENN_JWT_SECRET: JWT_SECRET } });
  let stranger: Account;
  let revoked: Account;
  /** What refused calls name; each one checks that it is still whole. */
  let target: Target;
  before(async () => {
    target = await makeTarget();
    stranger = await test.signUp();
    revoked = await test.signUp();
    await test.clients.apiKeys.deleteApiKey({ apiKeyId: revoked.apiKeyId }, revoked.asUser);
  });

  it('has a row for every public method', () => {
    const services = descriptors().set.file.filter((file) => file.package === 'wrenn.v1');
    const methods = services
      .flatMap((file) => file.service)
      .flatMap((service) => service.method.map((method) => `${service.name}.${method.name}`));
    expect(Object.keys(ROWS).sort()).to.deep.equal(methods.sort());
  });

  for (const [method, row] of Object.entries(ROWS)) {
    describe(method, () => {
      const expectedOf = (account: Account) =>
        row.credential === 'api key' ? account.asTeam : account.asUser;

      it('serves its own team', async () => {
        const own = await makeTarget();
        const options = row.credential === 'none' ? ANYBODY : expectedOf(own.account);
        await row.call(test.clients, options, own);
      });

      if (row.credential === 'none') return;

      it('refuses a caller without a credential', async () => {
        await expectRefused(row, ANYBODY, 'CREDENTIAL_MISSING');
        const header = row.credential === 'api key' ? 'x-api-key' : 'authorization';
        await expectRefused(row, withMetadata({ [header]: '' }), 'CREDENTIAL_MISSING');
      });

      it('refuses a good credential of the other kind', async () => {
        const other = row.credential === 'api key' ? target.account.asUser : target.account.asTeam;
        await expectRefused(row, other, 'CREDENTIAL_INVALID');
      });

      it('refuses what only looks like a credential', async () => {
        for (const options of fakesOf(row)) await expectRefused(row, options, 'CREDENTIAL_INVALID');
      });

      if (row.credential === 'user') {
        it('refuses a token that has expired', async () => {
          const token = jwt.sign({ exp: Math.floor(Date.now() / 1000) - 1 }, JWT_SECRET, {
            ...{ issuer: 'wrenn', audience: 'wrenn.v1', jwtid: 'x' },
            subject: target.account.session.user?.userId ?? '',
          });
          const options = withMetadata({ authorization: `Bearer ${token}` });
          await expectRefused(row, options, 'CREDENTIAL_EXPIRED');
        });
      } else {
        it('refuses a revoked key', async () => {
          await expectRefused(row, revoked.asTeam, 'CREDENTIAL_INVALID');
        });
      }

      it('hides the objects of one team from another', async () => {
        const call = row.call(test.clients, expectedOf(stranger), target);
        if (row.foreign === 'own things') {
          const text = toText(await call);
          expect(text).not.to.include(target.sandboxId);
          expect(text).not.to.include(target.snapshotId);
        } else {
          const error = await errorOf(call);
          expect([error?.code, error?.reason]).to.deep.equal([Code.NOT_FOUND, row.foreign]);
        }
        await expectUntouched();
      });
    });
  }

  /** A new account with a sandbox, a file in it, a snapshot of it and a spare key. */
  async function makeTarget(): Promise<Target> {
    const account = await test.signUp();
    const { sandboxId } = await test.clients.sandboxes.createSandbox(
      plainSandbox(),
      account.asTeam,
    );
    test.agent.files.set(`${sandboxId}:/there`, Buffer.from('x'));
    const { apiKey } = await test.clients.apiKeys.createApiKey({ name: 'spare' }, account.asUser);
    const { snapshotId } = await test.clients.snapshots.createSnapshot(
      { sandboxId, name: '' },
      account.asTeam,
    );
    return { account, sandboxId, apiKeyId: apiKey?.apiKeyId ?? '', snapshotId };
  }

  async function expectRefused(
    row: Row,
    options: ClientCallOptions,
    reason: Reason,
  ): Promise<void> {
    const error = await errorOf(row.call(test.clients, options, target));
    expect([error?.code, error?.reason], JSON.stringify(options.metadata)).to.deep.equal([
      Code.UNAUTHENTICATED,
      reason,
    ]);
    await expectUntouched();
  }

  async function expectUntouched(): Promise<void> {
    const { account, sandboxId, apiKeyId, snapshotId } = target;
    const sandbox = await test.clients.sandboxes.getSandbox({ sandboxId }, account.asTeam);
    expect(sandbox).to.include({ state: SandboxState.SANDBOX_STATE_RUNNING, timeoutSec: 0 });
    await test.clients.snapshots.getSnapshot({ snapshotId }, account.asTeam);
    const { apiKeys } = await test.clients.apiKeys.listApiKeys(PAGE, account.asUser);
    expect(apiKeys.map((key) => key.apiKeyId)).to.include(apiKeyId);
    expect(test.agent.files.has(`${sandboxId}:/f`)).to.equal(false);
  }

  function fakesOf(row: Row): ClientCallOptions[] {
    if (row.credential === 'api key') {
      const { key } = stranger;
      const keys = ['x', generateApiKeySecret(), `${key}x`, key.slice(0, -1), key.toLowerCase()];
      return keys.map((secret) => withMetadata({ 'x-api-key': secret }));
    }
    const { accessToken } = stranger.session;
    const headers = [
      'Bearer',
      'Bearer x',
      `Basic ${accessToken}`,
      accessToken,
      `Bearer ${accessToken}=`,
    ];
    return headers.map((authorization) => withMetadata({ authorization }));
  }
});

async function errorOf(call: Promise<unknown>): Promise<WrennError | undefined> {
  return call.then(
    () => undefined,
    (error: unknown) => WrennError.from(error),
  );
}

function toText(value: unknown): string {
  return JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? `${item}` : item));
}
