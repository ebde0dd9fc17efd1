/** The control plane as a whole: how it starts, what it says of its health, how it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { credentials } from '@grpc/grpc-js';
import { expect } from 'chai';
import {
  HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../../gen/ts/grpc/health/v1/health.js';
import { silentLog } from '../../lib/log/log.js';
import { createClient } from '../../lib/rpc/client.js';
import { startControlPlane } from '../../src/server.js';
import {
  ANYBODY,
  type Clients,
  connectClients,
  PASSWORD,
  plainSandbox,
  useControlPlane,
} from '../support/control-plane.js';
import { eventually } from '../support/eventually.js';
import { answerOf, FakeHostAgent } from '../support/fake-host-agent.js';
import { testPostgres } from '../support/postgres.js';
import { rejectionOf } from '../support/rejection.js';

const START_TIMEOUT_MS = 60_000;

describe('a control plane', () => {
  const test = useControlPlane();

  it('keeps the socket of its gateway and its secret to itself', async () => {
    for (const name of ['control-plane.sock', 'jwt-secret']) {
      expect((await stat(join(test.directory, name))).mode & 0o077, name).to.equal(0);
    }
  });

  it('does not start where another one runs', async () => {
    const connection = await testPostgres();
    const error = await rejectionOf(startControlPlane(test.config, silentLog, { connection }));
    expect(error.reason).to.equal('HOST_REQUIREMENT');
  });

  for (const [setting, field] of [
    ['WRENN_GRPC_ADDRESS', 'grpcAddress'],
    ['WRENN_HTTP_ADDRESS', 'httpAddress'],
  ] as const) {
    it(`names ${setting} when its port is taken, and leaves nothing behind`, async () => {
      const connection = await testPostgres();
      const taken = createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      const { port } = taken.address() as { port: number };
      const runDirectory = await mkdtemp(join(tmpdir(), 'wrenn-cp-'));
      const config = { ...test.config, runDirectory, [field]: { host: '127.0.0.1', port } };
      try {
        const error = await rejectionOf(startControlPlane(config, silentLog, { connection }));
        expect([error.reason, error.metadata.setting]).to.deep.equal(['HOST_REQUIREMENT', setting]);
        const free = { ...config, [field]: { host: '127.0.0.1', port: 0 } };
        const controlPlane = await startControlPlane(free, silentLog, { connection });
        await controlPlane.close();
      } finally {
        taken.close();
        await rm(runDirectory, { recursive: true, force: true });
      }
    });
  }

  it('refuses a secret that is too short', async () => {
    const connection = await testPostgres();
    const runDirectory = await mkdtemp(join(tmpdir(), 'wrenn-cp-'));
    const config = { ...test.config, runDirectory, jwtSecret: 'short' };
    try {
      const error = await rejectionOf(startControlPlane(config, silentLog, { connection }));
      expect(error.metadata).to.deep.equal({ setting: 'WRENN_JWT_SECRET' });
    } finally {
      await rm(runDirectory, { recursive: true, force: true });
    }
  });

  it('works on the database of DATABASE_URL, and says so when that refuses or does not answer', async () => {
    const shared = (await testPostgres()) as { host: string; user: string };
    const runDirectory = await mkdtemp(join(tmpdir(), 'wrenn-cp-'));
    const start = (url: string) =>
      startControlPlane({ ...test.config, runDirectory, databaseUrl: url }, silentLog);
    const host = encodeURIComponent(shared.host);
    try {
      const controlPlane = await start(`postgresql://${shared.user}@${host}/postgres`);
      expect(await controlPlane.internal.database.isReachable()).to.equal(true);
      await controlPlane.close();

      for (const [url, reason] of [
        [`postgresql://nobody@${host}/postgres`, 'HOST_REQUIREMENT'],
        [`postgresql://${shared.user}@${host}/nothing`, 'HOST_REQUIREMENT'],
        ['postgresql://x:secret@127.0.0.1:1/postgres', 'DATABASE_UNAVAILABLE'],
      ] as const) {
        const error = await rejectionOf(start(url));
        expect(error.reason).to.equal(reason);
        expect(error.message).not.to.include('secret');
      }
    } finally {
      await rm(runDirectory, { recursive: true, force: true });
    }
  });

  it('is serving while its host answers, and accounts are served without one', async () => {
    const health = createClient(
      HealthService,
      test.controlPlane.grpcAddress,
      credentials.createInsecure(),
    );
    const check = async (service: string) => (await health.check({ service }, ANYBODY)).status;
    try {
      await eventually(async () => expect(await check('')).to.equal(ServingStatus.SERVING));
      await test.agent.stop();
      for (const service of ['', 'wrenn.v1.SandboxService']) {
        await eventually(async () =>
          expect(await check(service)).to.equal(ServingStatus.NOT_SERVING),
        );
      }
      expect(await check('wrenn.v1.AuthService')).to.equal(ServingStatus.SERVING);
      const ready = await fetch(`http://${test.controlPlane.httpAddress}/readyz`);
      expect(ready.status).to.equal(503);
    } finally {
      await test.agent.start();
      await eventually(async () => expect(await check('')).to.equal(ServingStatus.SERVING));
      health.close();
    }
  });

  it('lets calls under way end when it stops', async () => {
    const account = await test.signUp();
    const { sandboxId } = await test.clients.sandboxes.createSandbox(
      plainSandbox(),
      account.asTeam,
    );
    let end: () => void = () => undefined;
    const started = new Promise<void>((resolve) => {
      test.agent.script.exec = async () => {
        resolve();
        await new Promise<void>((ended) => {
          end = ended;
        });
        return answerOf('done');
      };
    });
    const command = { sandboxId, cmd: 'x', args: [], timeoutSec: 0, env: {}, cwd: '', user: '' };
    const call = test.clients.processes.exec(
      { ...command, stdin: Buffer.alloc(0) },
      account.asTeam,
    );
    await started;
    const closing = test.controlPlane.close();
    end();
    expect((await call).stdoutText).to.equal('done');
    await closing;
    await test.restart();
    expect(test.agent.sandboxes.has(sandboxId)).to.equal(true);
  });
});

describe('the control plane as a process', function () {
  this.timeout(2 * START_TIMEOUT_MS);
  let directory: string;
  let agent: FakeHostAgent;
  const processes: ChildProcess[] = [];
  let clients: Clients | undefined;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'wrenn-cp-'));
    agent = new FakeHostAgent(join(directory, 'agent.sock'));
    await agent.start();
  });
  afterEach(() => clients?.close());
  after(async () => {
    for (const child of processes) child.kill('SIGKILL');
    await agent.stop();
    await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  });

  it('starts with an embedded Postgres, survives SIGKILL, and ends with 0 at SIGTERM', async () => {
    const first = await start();
    clients = connectClients(first.grpcAddress);
    const session = await clients.auth.signUp(
      { email: 'a@example.com', password: PASSWORD, name: '' },
      ANYBODY,
    );
    await end(first.child, 'SIGKILL');
    clients.close();

    const second = await start();
    clients = connectClients(second.grpcAddress);
    const again = await clients.auth.logIn({ email: 'a@example.com', password: PASSWORD }, ANYBODY);
    expect(again.user).to.deep.equal(session.user);
    expect(await end(second.child, 'SIGTERM')).to.deep.equal([0, null]);
  });

  it('says in one plain line what is wrong with a setting, and ends with 1', async () => {
    const child = spawnControlPlane({ WRENN_LOG_LEVEL: 'loud' });
    let text = '';
    child.stderr?.on('data', (chunk) => {
      text += chunk;
    });
    expect(await once(child, 'close')).to.deep.equal([1, null]);
    const plain = text.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
    expect(plain).to.have.length(1);
    expect(plain[0]).to.include('WRENN_LOG_LEVEL');
  });

  it('reads settings from a file .env, under those of the environment', async () => {
    await writeFile(join(directory, '.env'), 'WRENN_LOG_LEVEL=silent\nWRENN_JWT_SECRET=short\n');
    const child = spawnControlPlane({ WRENN_LOG_LEVEL: 'info' });
    let text = '';
    child.stderr?.on('data', (chunk) => {
      text += chunk;
    });
    await once(child, 'close');
    await rm(join(directory, '.env'));
    expect(text).to.include('WRENN_JWT_SECRET');
    expect(text).not.to.include('WRENN_LOG_LEVEL');
    expect(await readFile(join(directory, 'jwt-secret'), 'utf8')).not.to.include('short');
  });

  async function start(): Promise<{ child: ChildProcess; grpcAddress: string }> {
    const child = spawnControlPlane();
    const lines = createInterface({ input: child.stderr as NodeJS.ReadableStream });
    for await (const line of lines) {
      const { grpc_address: grpcAddress } = JSON.parse(line) as Record<string, string>;
      if (grpcAddress === undefined) continue;
      child.stderr?.resume();
      return { child, grpcAddress };
    }
    throw new Error('the control plane ended before it was ready');
  }

  function spawnControlPlane(environment: NodeJS.ProcessEnv = {}): ChildProcess {
    const root = join(import.meta.dirname, '..', '..');
    const tsx = join(root, 'node_modules', 'tsx', 'dist', 'loader.mjs');
    const child = spawn(process.execPath, ['--import', tsx, join(root, 'src', 'main.ts')], {
      cwd: directory,
      stdio: ['ignore', 'inherit', 'pipe'],
      env: {
        PATH: process.env.PATH,
        WRENN_STATE_DIR: directory,
        WRENN_RUN_DIR: directory,
        WRENN_GRPC_ADDRESS: '127.0.0.1:0',
        WRENN_HTTP_ADDRESS: '127.0.0.1:0',
        ...environment,
      },
    });
    processes.push(child);
    return child;
  }

  async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<unknown[]> {
    const exited = once(child, 'exit');
    child.kill(signal);
    return exited;
  }
});
