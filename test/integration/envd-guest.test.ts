/** How the real guest daemon becomes a sandbox, and whom it admits. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import type { PostInitRequest } from '../../gen/ts/wrenn/envd/v1/guest.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { ENVD_TOKEN_KEY } from '../../lib/guest/contract.js';
import {
  collect,
  type EnvdProcess,
  initializeEnvd,
  isAlive,
  startEnvd,
  TOKEN,
} from '../support/envd.js';
import { requireNeed } from '../support/requirements.js';

const OTHER_TOKEN = 'other-token-of-a-test-0123456789';
const NS_PER_MS = 1_000_000n;

describe('envd before and after PostInit', () => {
  let envd: EnvdProcess;

  before(function () {
    requireNeed(this, 'root');
  });

  beforeEach(async () => {
    envd = await startEnvd({ initialize: false });
  });

  afterEach(async () => {
    await envd?.stop();
  });

  function withToken(token?: string) {
    return {
      timeoutMs: envd.options.timeoutMs,
      metadata: token === undefined ? {} : { [ENVD_TOKEN_KEY]: token },
    };
  }

  const request = (fields: Partial<PostInitRequest> = {}): PostInitRequest => ({
    token: TOKEN,
    sandboxId: 'sandboxoftest',
    templateId: 'minimal',
    env: {},
    wallClockNs: 0n,
    ...fields,
  });

  it('tells that it runs, to everybody, and whether it has been initialized', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };

    const before = await envd.guest.getHealth({}, withToken());
    await envd.guest.postInit(request(), withToken());
    const after = await envd.guest.getHealth({}, withToken());

    expect(before).to.deep.equal({ version, initialized: false });
    expect(after).to.deep.equal({ version, initialized: true });
  });

  it('refuses everything else before PostInit', async () => {
    const refused = { code: Code.FAILED_PRECONDITION, reason: 'SANDBOX_STATE' };

    expect(await failureOf(read(withToken(TOKEN)))).to.include(refused);
    expect(await failureOf(write(withToken(TOKEN)))).to.include(refused);
    expect(await failureOf(envd.run({ cmd: 'true' }))).to.include(refused);
  });

  it('refuses a call without the token, and one with another', async () => {
    await initializeEnvd(envd);

    for (const [token, reason] of [
      [undefined, 'CREDENTIAL_MISSING'],
      [OTHER_TOKEN, 'CREDENTIAL_INVALID'],
      [TOKEN.slice(1), 'CREDENTIAL_INVALID'],
      [`${TOKEN}x`, 'CREDENTIAL_INVALID'],
    ] as const) {
      const refused = { code: Code.UNAUTHENTICATED, reason };
      expect(await failureOf(read(withToken(token)))).to.include(refused);
      expect(await failureOf(write(withToken(token)))).to.include(refused);
      expect(await failureOf(envd.guest.postInit(request(), withToken(token)))).to.include(refused);
    }
  });

  it('lets the holder of the token put another one in force', async () => {
    await initializeEnvd(envd);

    await envd.guest.postInit(request({ token: OTHER_TOKEN }), withToken(TOKEN));

    expect(await failureOf(read(withToken(TOKEN)))).to.include({ code: Code.UNAUTHENTICATED });
    expect((await read(withToken(OTHER_TOKEN))).content.length).to.be.greaterThan(0);
  });

  it('takes one token of two first calls', async () => {
    const results = await Promise.allSettled(
      [TOKEN, OTHER_TOKEN].map((token) => envd.guest.postInit(request({ token }), withToken())),
    );

    expect(results.map(({ status }) => status).sort()).to.deep.equal(['fulfilled', 'rejected']);
  });

  it('refuses a token that could be guessed or not be sent, and stays uninitialized', async () => {
    for (const token of ['', 'short', `${TOKEN}\n`, 'x'.repeat(1000)]) {
      const error = await failureOf(envd.guest.postInit(request({ token }), withToken()));
      expect(error).to.include({ code: Code.INVALID_ARGUMENT, reason: 'INVALID_REQUEST' });
    }
    expect((await envd.guest.getHealth({}, withToken())).initialized).to.equal(false);
  });

  it('refuses an id that is no hostname', async () => {
    for (const sandboxId of ['', '../x', 'a b', 'A', 'x'.repeat(65)]) {
      const error = await failureOf(envd.guest.postInit(request({ sandboxId }), withToken()));
      expect(error).to.include({ code: Code.INVALID_ARGUMENT, reason: 'INVALID_REQUEST' });
    }
    expect((await envd.guest.getHealth({}, withToken())).initialized).to.equal(false);
  });

  it('does each step and reports it with its time', async () => {
    const { steps } = await envd.guest.postInit(request(), withToken());

    expect(steps.map(({ name }) => name)).to.deep.equal([
      'token',
      'wall_clock',
      'hostname',
      'environment',
      'template_id',
      'sandbox_id',
    ]);
    for (const { durationMs, error } of steps) {
      expect(error).to.equal('');
      expect(durationMs).to.be.at.least(0);
    }
    const run = join(envd.directory, 'run');
    expect(await readFile(join(envd.directory, 'hostname'), 'utf8')).to.equal('sandboxoftest');
    expect(await readFile(join(run, '.WRENN_TEMPLATE_ID'), 'utf8')).to.equal('minimal');
    expect(await readFile(join(run, '.WRENN_SANDBOX'), 'utf8')).to.equal('sandboxoftest');
  });

  it('reports a step that fails, and does the others', async () => {
    await using broken = await startEnvd({ initialize: false, hostnamePath: '/proc/no/such' });

    const { steps } = await broken.guest.postInit(request(), withToken());

    const failed = steps.filter(({ error }) => error !== '').map(({ name }) => name);
    expect(failed).to.deep.equal(['hostname']);
    const templateId = join(broken.directory, 'run', '.WRENN_TEMPLATE_ID');
    expect(await readFile(templateId, 'utf8')).to.equal('minimal');
  });

  it('leaves the clock alone when it is not told the time', async () => {
    await envd.guest.postInit(request({ wallClockNs: 0n }), withToken());

    expect(existsSync(join(envd.directory, 'helper.calls'))).to.equal(false);
  });

  it('has the helper set a clock that is wrong', async () => {
    const wallClockNs = BigInt(Date.now() + 3_600_000) * NS_PER_MS;

    const { steps } = await envd.guest.postInit(request({ wallClockNs }), withToken());

    const calls = await readFile(join(envd.directory, 'helper.calls'), 'utf8');
    const [, given, monotonicNs] = /^clock (\d+) (\d+) \n$/.exec(calls) ?? [];
    expect(given).to.equal(String(wallClockNs));
    // The daemon's monotonic clock is this process's.
    expect(BigInt(monotonicNs ?? 0) <= process.hrtime.bigint()).to.equal(true);
    expect(steps.find(({ name }) => name === 'wall_clock')?.error).to.equal('');
  });

  it('reports a clock that could not be set', async () => {
    await using broken = await startEnvd({ initialize: false, helperPath: '/no/such' });
    const wallClockNs = BigInt(Date.now() + 3_600_000) * NS_PER_MS;

    const { steps } = await broken.guest.postInit(request({ wallClockNs }), withToken());

    const failed = steps.filter(({ error }) => error !== '').map(({ name }) => name);
    expect(failed).to.deep.equal(['wall_clock']);
  });

  it('outlives connections that talk nonsense or break off', async () => {
    await initializeEnvd(envd);
    const [host = '', port = ''] = envd.target.split(':');
    for (const nonsense of [
      'GET / HTTP/1.1\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff',
      '\0'.repeat(100_000),
    ]) {
      const socket = connect(Number(port), host);
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(Buffer.from(nonsense, 'latin1'));
      socket.resetAndDestroy();
    }
    for (const call of await startAndBreakOff()) await call;

    expect((await envd.run({ cmd: 'echo', args: ['alive'] })).stdout).to.equal('alive\n');
    expect(await isAlive(envd.pid)).to.equal(true);
  });

  it('keeps the token where only root reads it', async () => {
    await initializeEnvd(envd);

    const status = await stat(join(envd.directory, 'run', 'envd-token'));

    expect(status.mode & 0o777).to.equal(0o600);
  });

  it('knows token and variables again after it was killed', async () => {
    await initializeEnvd(envd, { GREETING: 'hello' });

    await envd.restart();

    expect((await envd.guest.getHealth({}, withToken())).initialized).to.equal(true);
    expect(await failureOf(read(withToken(OTHER_TOKEN)))).to.include({
      reason: 'CREDENTIAL_INVALID',
    });
    const result = await envd.run({ cmd: 'sh', args: ['-c', 'echo $GREETING'] });
    expect(result.stdout).to.equal('hello\n');
  });

  /** Calls that are cancelled at every moment of their life. */
  async function startAndBreakOff(): Promise<Promise<unknown>[]> {
    return Array.from({ length: 30 }, (_, index) => {
      const signal = AbortSignal.timeout(index);
      return collect(envd.start({ cmd: 'yes' }, signal)).catch(() => undefined);
    });
  }

  function read(options: ReturnType<typeof withToken>) {
    return envd.files.readFile({ path: '/etc/passwd', sizeBytesMax: 1_000_000 }, options);
  }

  async function write(options: ReturnType<typeof withToken>) {
    const path = join(envd.directory, 'written');
    await writeFile(path, '');
    return envd.files.writeFile({ path, content: Buffer.from('x'), user: '', mode: 0 }, options);
  }
});

async function failureOf(call: Promise<unknown>): Promise<WrennError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof WrennError) return error;
    throw error;
  }
  throw new Error('the call succeeded');
}
