import { once } from 'node:events';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { SandboxState, WrennClient } from '../../clients/typescript/index.js';
import { eventually } from '../support/eventually.js';
import { type LocalWrenn, localWrenn, type UpReport } from '../support/wrenn-up.js';

/** Starting and stopping all of it takes a while on a busy machine. */
const TEST_TIMEOUT_MS = 180_000;
/** Rows follow the agent within one pass of the reconciler. */
const RECONCILED_TIMEOUT_MS = 60_000;

/** Pids of the programs whose environment names the state folder. */
async function processesOf({ stateDirectory }: LocalWrenn): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const [environment, command] = await Promise.all(
      ['environ', 'cmdline'].map((file) =>
        readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => ''),
      ),
    );
    if (!environment?.includes(`WRENN_STATE_DIR=${stateDirectory}\0`)) continue;
    const daemon = /dist\/(agent|src)\/main\.js/.exec(command ?? '')?.[1];
    if (daemon) found[daemon] = Number(pid);
  }
  return found;
}

/** A user of the platform who is not the local one, with a key of its own. */
async function teamOfStranger({ grpc_address: address }: UpReport) {
  using visitor = new WrennClient({ address });
  const { accessToken } = await visitor.auth.signUp({
    email: 'stranger@example.com',
    password: 'a long password',
  });
  using user = new WrennClient({ address, accessToken });
  const { key: apiKey } = await user.apiKeys.create('stranger');
  const client = new WrennClient({ address, apiKey });
  return { client, [Symbol.asyncDispose]: async () => client.close() };
}

const pick = ({ sandbox_id: id, state }: { sandbox_id: string; state: string }) => [id, state];

describe('a running wrenn up', function () {
  this.timeout(TEST_TIMEOUT_MS);
  let wrenn: LocalWrenn;
  let report: UpReport;

  before(async () => {
    wrenn = await localWrenn();
    ({ report } = await wrenn.up());
  });
  after(() => wrenn[Symbol.asyncDispose]());

  it('has a local user whose key the other commands use', async () => {
    expect((await wrenn.run('key', 'ls')).stdout).to.include('stored here');
    expect((await wrenn.run('sandbox', 'create')).exitCode).to.equal(0);
  });

  it('refuses a second one on the same folders', async () => {
    const { exitCode, stderr } = await wrenn.run('up');
    expect(exitCode).to.equal(1);
    expect(stderr).to.include(wrenn.stateDirectory);
  });

  it('makes another one say which address is in use', async () => {
    await using other = await localWrenn({ WRENN_HTTP_ADDRESS: report.http_address });
    const { exitCode, stderr } = await other.run('up');
    expect(exitCode).to.equal(1);
    expect(stderr).to.include(report.http_address).and.include('WRENN_HTTP_ADDRESS');
  });

  it('starts a daemon that was killed again', async () => {
    for (const daemon of ['agent', 'src']) {
      const { [daemon]: before } = await processesOf(wrenn);
      process.kill(before as number, 'SIGKILL');
      await eventually(
        async () => {
          const { [daemon]: after } = await processesOf(wrenn);
          expect(after).to.be.a('number').and.not.equal(before);
          expect((await wrenn.run('sandbox', 'create')).exitCode).to.equal(0);
        },
        { timeoutMs: 60_000 },
      );
    }
  });

  it('keeps what the daemons log in files', async () => {
    const logs = await readdir(join(wrenn.stateDirectory, 'logs'));
    expect(logs).to.include.members(['agent.log', 'control-plane.log', 'postgres.log']);
  });
});

describe('the end of wrenn up', function () {
  this.timeout(TEST_TIMEOUT_MS);
  let wrenn: LocalWrenn;

  beforeEach(async () => {
    wrenn = await localWrenn();
  });
  afterEach(() => wrenn[Symbol.asyncDispose]());

  it('by SIGTERM keeps users, keys and sandboxes for the next start', async () => {
    const first = await wrenn.up();
    const { stdout: id } = await wrenn.run('sandbox', 'create');
    first.child.kill('SIGTERM');
    await once(first.child, 'close');
    expect(first.child.exitCode).to.equal(0);
    expect(await processesOf(wrenn)).to.deep.equal({});

    const second = await wrenn.up();
    expect(second.report.api_key).to.equal(first.report.api_key);
    expect((await wrenn.run('sandbox', 'ls')).stdout).to.include(id.trim());
  });

  it('by SIGKILL leaves no daemon behind and nothing in the way of the next start', async () => {
    const { child } = await wrenn.up();
    child.kill('SIGKILL');
    await eventually(async () => expect(await processesOf(wrenn)).to.deep.equal({}));
    await wrenn.up();
    expect((await wrenn.run('sandbox', 'create')).exitCode).to.equal(0);
  });

  it('by down in another terminal pauses the sandboxes of all teams', async () => {
    const { child, report } = await wrenn.up();
    const { stdout } = await wrenn.run('sandbox', 'create');
    const id = stdout.trim();
    await using stranger = await teamOfStranger(report);
    const { sandboxId } = await stranger.client.sandboxes.create({ template: 'minimal' });

    const down = await wrenn.run('down', '--json');
    expect(down.exitCode, down.stderr).to.equal(0);
    expect(JSON.parse(down.stdout)).to.deep.equal({ paused_sandboxes: 2, deleted_sandboxes: 0 });
    await eventually(() => expect(child.exitCode).to.equal(0));
    expect(await processesOf(wrenn)).to.deep.equal({});

    await wrenn.up();
    await eventually(
      async () => {
        const { sandboxes } = JSON.parse((await wrenn.run('sandbox', 'ls', '--json')).stdout);
        expect(sandboxes.map(pick)).to.deep.equal([[id, 'SANDBOX_STATE_PAUSED']]);
        const other = await stranger.client.sandboxes.get(sandboxId);
        expect(other.state).to.equal(SandboxState.SANDBOX_STATE_PAUSED);
      },
      { timeoutMs: RECONCILED_TIMEOUT_MS },
    );
    expect((await wrenn.run('sandbox', 'resume', id)).exitCode).to.equal(0);
  });

  it('by reset leaves no state', async () => {
    const before = await wrenn.up();
    await wrenn.run('sandbox', 'create');
    expect((await wrenn.run('reset', '--yes')).exitCode).to.equal(0);
    expect(await readdir(wrenn.stateDirectory)).to.deep.equal([]);
    expect(await readdir(wrenn.runDirectory)).to.deep.equal([]);

    const after = await wrenn.up();
    expect(after.report.api_key).not.to.equal(before.report.api_key);
  });

  it('by reset works although the database is damaged', async () => {
    const { child } = await wrenn.up();
    child.kill('SIGTERM');
    await once(child, 'close');
    await rm(join(wrenn.stateDirectory, 'postgres', 'data', 'global', 'pg_control'));
    expect((await wrenn.run('reset', '--yes')).exitCode).to.equal(0);
    expect(await readdir(wrenn.stateDirectory)).to.deep.equal([]);
    await wrenn.up();
  });
});
