/** Clients in other languages, each generated from the protos alone, over real virtual machines. */
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../lib/files/package-root.js';
import { run } from '../../lib/process/run.js';
import type { Census } from '../support/census/census.js';
import { eventually } from '../support/eventually.js';
import { GO_RUN_TIMEOUT_MS, runGoExample } from '../support/go-client.js';
import { GRPCURL_INSTALL_TIMEOUT_MS, installGrpcurlProgram } from '../support/grpcurl.js';
import { TestPlatform } from '../support/platform.js';
import { installPythonClient, PYTHON_INSTALL_TIMEOUT_MS } from '../support/python-client.js';
import { requireNeed } from '../support/requirements.js';

/** A boot under emulation on a busy machine, with the calls around it. */
const CALLS_TIMEOUT_MS = 300_000;

/** What the examples print: the name of the machine that runs them is the sandbox's id. */
const GREETING = /^hello from ([a-z2-7]{26})\n$/;

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

  /** Neither the API nor the machine knows anything of a sandbox. */
  const expectGone = async (sandboxId: string) => {
    const { sandboxes } = await platform.client.sandboxes.listPage();
    expect(sandboxes).to.deep.equal([]);
    await eventually(async () => {
      const census = await platform.census();
      const traces = Object.values(census).flat();
      expect(traces.filter((line) => line.includes(sandboxId))).to.deep.equal([]);
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
    await call('SandboxService/DeleteSandbox', { sandboxId });

    await expectGone(String(sandboxId));
  });

  it('Python, installed by pip, runs a program in a sandbox', async function () {
    requireNeed(this, 'python-venv');
    this.timeout(PYTHON_INSTALL_TIMEOUT_MS + CALLS_TIMEOUT_MS);
    const { python } = await installPythonClient();
    const example = join(packageRoot(), 'clients', 'python', 'examples', 'hello.py');
    const { stdout } = await run(python, [example], {
      env: { ...process.env, ...environment() },
      timeoutMs: CALLS_TIMEOUT_MS,
    });

    await expectGone(sandboxOf(stdout));
  });

  it('Go runs a program in a sandbox', async function () {
    requireNeed(this, 'go');
    this.timeout(GO_RUN_TIMEOUT_MS + CALLS_TIMEOUT_MS);
    const { stdout } = await runGoExample(environment());

    await expectGone(sandboxOf(stdout));
  });
});

/** The sandbox in which an example ran. */
function sandboxOf(output: string): string {
  expect(output).to.match(GREETING);
  return GREETING.exec(output)?.[1] ?? '';
}
