import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { ProcessSpec } from '../../gen/ts/wrenn/v1/process.js';
import { Code } from '../../lib/errors/index.js';
import { fromTimestamp } from '../../lib/rpc/timestamp.js';
import { generateApiKeySecret } from '../../src/auth/api-key-secret.js';
import { CACHE_MS } from '../../src/auth/api-key-verifier.js';
import { TEAM_API_KEYS_MAX } from '../../src/store/api-key.js';
import {
  type Account,
  plainSandbox,
  sandboxPage,
  useControlPlane,
  withMetadata,
} from '../support/control-plane.js';
import { eventually } from '../support/eventually.js';
import { reasonOf, rejectionOf } from '../support/rejection.js';

const SPEC = ProcessSpec.fromPartial({ cmd: 'cat' });
const FIRST_PAGE = { pageSize: 0, pageToken: '' };

describe('ApiKeyService', () => {
  const test = useControlPlane();
  let account: Account;
  beforeEach(async () => {
    account = await test.signUp();
  });

  it('shows a secret once and then only its first characters', async () => {
    const { apiKeys } = test.clients;
    const { apiKey, key } = await apiKeys.createApiKey({ name: 'laptop' }, account.asUser);
    expect(apiKey).to.include({ name: 'laptop', lastUsed: undefined });
    expect(key.startsWith(apiKey?.keyPrefix ?? '-')).to.equal(true);

    const page = await apiKeys.listApiKeys(FIRST_PAGE, account.asUser);
    expect(page.apiKeys.map(({ name }) => name)).to.deep.equal(['laptop', 'test']);
    expect(JSON.stringify(page.apiKeys.map(({ keyPrefix }) => keyPrefix))).not.to.include(key);
  });

  it('stores nothing with which a caller could log in', async () => {
    const { rows } = await test.controlPlane.internal.database.query((knex) =>
      knex.raw(
        `select row_to_json(team_api_keys)::text as row from team_api_keys
         union all select row_to_json(users)::text from users`,
      ),
    );
    const dump = JSON.stringify(rows);
    expect(dump).not.to.include(account.key);
    expect(dump).not.to.include(account.key.slice('wrn_key_'.length + 4));
    const hash = /"\\\\\\\\x([0-9a-f]{64})/.exec(dump)?.[1] ?? '';
    expect(hash).to.have.length(64);
    expect(await reasonOf(listSandboxes(hash))).to.equal('CREDENTIAL_INVALID');
  });

  it('names a key "default" when the caller gives no name', async () => {
    const { apiKey } = await test.clients.apiKeys.createApiKey({ name: ' ' }, account.asUser);
    expect(apiKey?.name).to.equal('default');
  });

  it('revokes a key at once, and another time says that there is none', async () => {
    const { apiKeys } = test.clients;
    await listSandboxes(account.key);
    await apiKeys.deleteApiKey({ apiKeyId: account.apiKeyId }, account.asUser);
    expect(await reasonOf(listSandboxes(account.key))).to.equal('CREDENTIAL_INVALID');
    const again = await rejectionOf(
      apiKeys.deleteApiKey({ apiKeyId: account.apiKeyId }, account.asUser),
    );
    expect([again.code, again.reason]).to.deep.equal([Code.NOT_FOUND, 'API_KEY_NOT_FOUND']);
  });

  it('stops believing within seconds in a key that another process has revoked', async () => {
    await listSandboxes(account.key);
    await test.controlPlane.internal.database.query((knex) =>
      knex('team_api_keys').where({ id: account.apiKeyId }).delete(),
    );
    await eventually(
      async () => expect(await reasonOf(listSandboxes(account.key))).to.equal('CREDENTIAL_INVALID'),
      { timeoutMs: CACHE_MS + 2000 },
    );
  });

  describe('that is deleted', () => {
    const byCall = async () => {
      await test.clients.apiKeys.deleteApiKey({ apiKeyId: account.apiKeyId }, account.asUser);
    };
    const byAnotherProcess = async () => {
      const { database, openStreams } = test.controlPlane.internal;
      await database.query((knex) =>
        knex('team_api_keys').where({ id: account.apiKeyId }).delete(),
      );
      await openStreams.check();
    };
    for (const [how, revoke] of [
      ['by a call', byCall],
      ['by another process', byAnotherProcess],
    ] as const) {
      it(`${how} ends the streams that were opened with it, and no others`, async () => {
        const other = await test.signUp();
        const [mine, theirs] = [await converse(account), await converse(other)];
        await revoke();
        expect(await reasonOf(mine.next())).to.equal('CREDENTIAL_INVALID');
        theirs.type('still here');
        const { value } = await theirs.next();
        expect(value?.event?.$case).to.equal('stdout');
        await theirs.return();
      });
    }
  });

  it('asks no database about a key whose checksum is wrong', async () => {
    const { database } = test.controlPlane.internal;
    const wrong = `${account.key.slice(0, -1)}${account.key.endsWith('0') ? '1' : '0'}`;
    await database.query((knex) => knex.raw('alter table team_api_keys rename to hidden'));
    try {
      expect(await reasonOf(listSandboxes(wrong))).to.equal('CREDENTIAL_INVALID');
      expect(await reasonOf(listSandboxes(generateApiKeySecret()))).to.equal('INTERNAL');
    } finally {
      await database.query((knex) => knex.raw('alter table hidden rename to team_api_keys'));
    }
  });

  it('notes the minute of the last use', async () => {
    await listSandboxes(account.key);
    await eventually(async () => {
      const { apiKeys } = await test.clients.apiKeys.listApiKeys(FIRST_PAGE, account.asUser);
      const lastUsed = apiKeys[0]?.lastUsed;
      expect(lastUsed && fromTimestamp(lastUsed) % 60_000).to.equal(0);
      expect(lastUsed && fromTimestamp(lastUsed)).to.be.greaterThan(Date.now() - 120_000);
    });
  });

  it('lets a team have so many keys and no more, also when they are made at once', async function () {
    this.timeout(60_000);
    const outcomes = await Promise.allSettled(
      Array.from({ length: TEAM_API_KEYS_MAX + 10 }, () =>
        test.clients.apiKeys.createApiKey({ name: '' }, account.asUser),
      ),
    );
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused).to.have.length(11);
    expect(new Set(refused.map(({ reason }) => reason.reason))).to.deep.equal(
      new Set(['API_KEY_LIMIT']),
    );
  });

  it('gives each key once when the list is read page by page', async () => {
    const { apiKeys } = test.clients;
    for (let index = 0; index < 4; index += 1) {
      await apiKeys.createApiKey({ name: `${index}` }, account.asUser);
    }
    const names: string[] = [];
    let pageToken = '';
    do {
      const page = await apiKeys.listApiKeys(
        sandboxPage({ pageSize: 2, pageToken }),
        account.asUser,
      );
      names.push(...page.apiKeys.map(({ name }) => name));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(names).to.deep.equal(['3', '2', '1', '0', 'test']);
  });

  function listSandboxes(key: string) {
    return test.clients.sandboxes.listSandboxes(sandboxPage(), withMetadata({ 'x-api-key': key }));
  }

  /** A conversation with a program that has started. */
  async function converse({ asTeam }: Account) {
    const sandbox = await test.clients.sandboxes.createSandbox(plainSandbox(), asTeam);
    const { sandboxId } = sandbox;
    const input = new PassThrough({ objectMode: true });
    input.write({ sandboxId, message: { $case: 'start', value: SPEC } });
    const events = test.clients.processes.execStream(input, asTeam)[Symbol.asyncIterator]();
    const { value } = await events.next();
    expect(value?.event?.$case).to.equal('started');
    return {
      next: () => events.next(),
      type: (text: string) =>
        void input.write({ sandboxId: '', message: { $case: 'stdin', value: Buffer.from(text) } }),
      return: () => events.return?.(),
    };
  }
});
