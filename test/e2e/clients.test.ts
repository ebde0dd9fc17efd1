/** Clients in other languages, each generated from the protos alone, over real virtual machines. */
import { expect } from 'chai';
import { run } from '../../lib/process/run.js';
import type { Census } from '../support/census/census.js';
import { eventually } from '../support/eventually.js';
import { GO_RUN_TIMEOUT_MS, runGoExample } from '../support/go-client.js';
import { GRPCURL_INSTALL_TIMEOUT_MS, installGrpcurlProgram } from '../support/grpcurl.js';
import { TestPlatform } from '../support/platform.js';
import {
  installPythonClient,
  PYTHON_INSTALL_TIMEOUT_MS,
  pythonExample,
} from '../support/python-client.js';
import { requireNeed } from '../support/requirements.js';

/** A boot under emulation on a busy machine, with the calls around it. */
const CALLS_TIMEOUT_MS = 300_000;

/** What the examples print: the name of the machine that runs them is the sandbox's id. */
const GREETING = /^hello from ([a-z2-7]{26})\n$/;
/** Where an example streams. */
const PLACE = /^in ([a-z2-7]{26})$/;
/** What a copy prints. */
const COPY = /^remembered in ([a-z2-7]{26})$/;

describe('a client generated from the protos', function () {
  this.timeout(CALLS_TIMEOUT_MS);
  let platform: TestPlatform;
  let empty: Census;

  before(async function () {
    requireNeed(this, 'root', 'qemu', 'images', 'netns');
    platform = await TestPlatform.start();
    empty = await platform.census();
  });

  after(async () => {
    await platform?.[Symbol.asyncDispose]();
  });

  const environment = () => ({
    WRENN_ADDRESS: platform.grpcAddress,
    WRENN_API_KEY: platform.apiKey,
  });

  /** Neither the API nor the machine knows anything of them. */
  const expectGone = async (ids: readonly string[]) => {
    const { sandboxes } = await platform.client.sandboxes.listPage();
    expect(sandboxes).to.deep.equal([]);
    await eventually(async () => {
      const census = await platform.census();
      const traces = Object.values(census).flat();
      const isTheirs = (line: string) => ids.some((id) => line.includes(id));
      expect(traces.filter(isTheirs)).to.deep.equal([]);
      for (const kind of ['namespace', 'link', 'cgroup', 'ledger entry'] as const) {
        expect(census[kind], kind).to.deep.equal(empty[kind]);
      }
    });
  };

  it('grpcurl, by reflection, runs a program in a sandbox', async function () {
    requireNeed(this, 'go');
    this.timeout(GRPCURL_INSTALL_TIMEOUT_MS + CALLS_TIMEOUT_MS);
    const program = await installGrpcurlProgram();
    const call = async (method: string, request: object) => {
      const key = ['-H', `x-api-key: ${platform.apiKey}`];
      const data = ['-d', JSON.stringify(request)];
      const { stdout } = await run(
        program,
        ['-plaintext', ...key, ...data, platform.grpcAddress, `wrenn.v1.${method}`],
        { timeoutMs: CALLS_TIMEOUT_MS },
      );
      return JSON.parse(stdout) as Record<string, unknown>;
    };

    const { sandboxId } = await call('SandboxService/CreateSandbox', { template: 'minimal' });
    const result = await call('ProcessService/Exec', { sandboxId, cmd: 'hostname' });
    expect(result.stdoutText).to.equal(`${String(sandboxId)}\n`);

    const paused = await call('SandboxService/PauseSandbox', { sandboxId });
    expect(paused.state).to.equal('SANDBOX_STATE_PAUSED');
    const snapshot = await call('SnapshotService/CreateSnapshot', {
      sandboxId,
      name: 'by-grpcurl',
    });
    expect(snapshot).to.include({ name: 'by-grpcurl', type: 'SNAPSHOT_TYPE_SNAPSHOT' });
    const { snapshotId } = snapshot;
    await call('SnapshotService/DeleteSnapshot', { snapshotId });
    await call('SandboxService/ResumeSandbox', { sandboxId });
    const again = await call('ProcessService/Exec', { sandboxId, cmd: 'hostname' });
    expect(again.stdoutText).to.equal(result.stdoutText);
    await call('SandboxService/DeleteSandbox', { sandboxId });

    await expectGone([String(sandboxId), String(snapshotId)]);
  });

  it('Python, installed by pip, runs programs in a sandbox, freezes and copies one, and streams', async function () {
    requireNeed(this, 'python-venv');
    this.timeout(PYTHON_INSTALL_TIMEOUT_MS + 3 * CALLS_TIMEOUT_MS);
    const { python } = await installPythonClient();
    const runExample = async (name: 'hello' | 'freeze' | 'stream') => {
      const env = { ...process.env, ...environment() };
      return await run(python, [pythonExample(name)], { env, timeoutMs: CALLS_TIMEOUT_MS });
    };
    await expectGone([sandboxOf((await runExample('hello')).stdout)]);
    await expectGone(copiesOf((await runExample('freeze')).stdout));
    await expectGone([streamedIn((await runExample('stream')).stdout, 'Python')]);
  });

  it('Go runs programs in a sandbox, freezes and copies one, and streams', async function () {
    requireNeed(this, 'go');
    this.timeout(3 * (GO_RUN_TIMEOUT_MS + CALLS_TIMEOUT_MS));
    await expectGone([sandboxOf((await runGoExample('hello', environment())).stdout)]);
    await expectGone(copiesOf((await runGoExample('freeze', environment())).stdout));
    const { stdout } = await runGoExample('stream', environment());
    await expectGone([streamedIn(stdout, 'Go')]);
  });
});

/** The sandbox in which an example ran. */
function sandboxOf(output: string): string {
  expect(output).to.match(GREETING);
  return GREETING.exec(output)?.[1] ?? '';
}

/** The copies that an example made, each of which remembers what the first was told. */
function copiesOf(output: string): string[] {
  const [remembered, ...copies] = output.trimEnd().split('\n');
  expect(remembered).to.equal('after the pause: remembered');
  expect(copies).to.have.length(2);
  const ids = copies.map((line) => COPY.exec(line)?.[1] ?? line);
  for (const line of copies) expect(line).to.match(COPY);
  expect(new Set(ids)).to.have.property('size', 2);
  return ids;
}

/** The sandbox in which an example talked to a program, followed one, passed a file through and watched. */
function streamedIn(output: string, language: string): string {
  const [place = '', ...told] = output.trimEnd().split('\n');
  expect(place).to.match(PLACE);
  expect(told).to.deep.equal([
    `hello ${language}, exit code 3`,
    'again',
    `${8 * 1024 * 1024} bytes, the same`,
    'listed data',
    'FILE_EVENT_TYPE_CREATE /root/large/new',
  ]);
  return PLACE.exec(place)?.[1] ?? '';
}
