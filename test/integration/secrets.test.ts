/** No secret that goes through the control plane stands in its log, whatever becomes of the call. */
import { expect } from 'chai';
import { Code, WrennError } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import {
  type Account,
  ANYBODY,
  plainSandbox,
  useControlPlane,
  withMetadata,
} from '../support/control-plane.js';
import { answerOf } from '../support/fake-host-agent.js';
import { createRecordingLog } from '../support/recording-log.js';

describe('the log of the control plane', () => {
  const log = createRecordingLog();
  const test = useControlPlane({ log });
  const canaries: Record<string, string> = {};
  let account: Account;

  before(async () => {
    account = await test.signUp();
    canaries['access token'] = account.session.accessToken;
    canaries['API key'] = account.key;
    for (const what of ['password', 'environment', 'argument', 'input', 'output', 'content']) {
      canaries[what] = `canary${randomId()}`;
    }
    test.agent.script.exec = async () => {
      const output = Buffer.from(canary('output'));
      return answerOf(output, { stderr: output });
    };
  });

  it('holds no secret of calls that succeed', async () => {
    await callEverything();
    expectNoCanary();
  });

  it('holds no secret of calls that the host fails', async () => {
    const fail = async () => {
      throw new WrennError(Code.INTERNAL, 'INTERNAL', 'the host fails');
    };
    const { exec } = test.agent.script;
    test.agent.script.exec = fail;
    test.agent.script.beforeBoot = fail;
    await callEverything();
    test.agent.script.exec = exec;
    test.agent.script.beforeBoot = async () => undefined;
    expect(log.lines.some((line) => line.includes('"error_reason":"INTERNAL"'))).to.equal(true);
    expectNoCanary();
  });

  it('holds no secret of calls that the database fails', async () => {
    const { database } = test.controlPlane.internal;
    for (const table of ['sandboxes', 'team_api_keys', 'users']) {
      await database.query((knex) =>
        knex.raw('alter table ?? add constraint refuse check (false) not valid', [table]),
      );
    }
    await callEverything();
    for (const table of ['sandboxes', 'team_api_keys', 'users']) {
      await database.query((knex) => knex.raw('alter table ?? drop constraint refuse', [table]));
    }
    expect(log.lines.some((line) => line.includes('violates check constraint'))).to.equal(true);
    expectNoCanary();
  });

  it('holds no secret of calls that break a rule, or over HTTP', async () => {
    await callEverything((text) => `${text}\0`);
    for (const path of ['/v1/auth/signup', '/v1/auth/login', '/v1/sandboxes']) {
      await fetch(`http://${test.controlPlane.httpAddress}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': account.key },
        body: JSON.stringify({
          password: canary('password'),
          env: { A: canary('environment') },
          x: 1,
        }),
      });
    }
    expectNoCanary();
  });

  it('holds one line for each call, with its request id', async () => {
    const before = log.lines.length;
    const requestId = randomId();
    await test.clients.auth.getMe(
      {},
      withMetadata({ ...account.asUser.metadata, 'x-request-id': requestId }),
    );
    const lines = log.lines.slice(before).filter((line) => line.includes(requestId));
    expect(lines).to.have.length(1);
    expect(JSON.parse(lines[0] ?? '')).to.include({
      level: 'info',
      message: 'call finished',
      rpc_method: 'wrenn.v1.AuthService/GetMe',
      grpc_code: 'OK',
    });
  });

  /** Sends each secret through every call that takes it; how the calls end does not matter. */
  async function callEverything(spoil: (text: string) => string = (text) => text): Promise<void> {
    const { auth, apiKeys, sandboxes, processes, files } = test.clients;
    const email = `${randomId(12)}@example.com`;
    const password = spoil(canary('password'));
    const created = await outcome(
      sandboxes.createSandbox(
        plainSandbox({ env: { SECRET: spoil(canary('environment')) } }),
        account.asTeam,
      ),
    );
    const sandboxId = created?.sandboxId ?? 'none';
    const env = { SECRET: spoil(canary('environment')) };
    const args = [spoil(canary('argument'))];
    const stdin = Buffer.from(canary('input'));
    const file = Buffer.from(canary('content'));
    const path = spoil('/f');
    const command = { sandboxId, cmd: 'x', args, env, stdin, timeoutSec: 0, cwd: '', user: '' };
    const newKey = await outcome(apiKeys.createApiKey({ name: '' }, account.asUser));
    if (newKey) canaries[`API key ${newKey.apiKey?.apiKeyId}`] = newKey.key;
    const session = await outcome(auth.signUp({ email, password, name: '' }, ANYBODY));
    if (session) canaries[`access token of ${email}`] = session.accessToken;
    await outcome(auth.logIn({ email, password }, ANYBODY));
    await outcome(auth.logIn({ email, password: `${password}wrong` }, ANYBODY));
    await outcome(auth.getMe({}, withMetadata({ authorization: `Bearer ${account.key}` })));
    await outcome(auth.getMe({}, account.asUser));
    await outcome(processes.exec(command, account.asTeam));
    await outcome(files.writeFile({ sandboxId, path, file, user: '', mode: 0 }, account.asTeam));
    await outcome(files.readFile({ sandboxId, path }, account.asTeam));
    await outcome(sandboxes.deleteSandbox({ sandboxId }, account.asTeam));
  }

  function canary(what: string): string {
    const value = canaries[what];
    if (!value) throw new Error(`no canary for ${what}`);
    return value;
  }

  function expectNoCanary(): void {
    const text = log.lines.join('\n');
    const found = Object.entries(canaries).filter(([, value]) => text.includes(value));
    expect(found.map(([what]) => what)).to.deep.equal([]);
  }
});

async function outcome<T>(call: Promise<T>): Promise<T | undefined> {
  return call.catch(() => undefined);
}
