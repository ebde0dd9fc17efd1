/** The commands that README.md and `npm start` print, run as printed on a real platform. */
import { readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { expect } from 'chai';
import { readPlatformConfig } from '../../cli/config.js';
import { nextSteps } from '../../cli/up/next-steps.js';
import { SnapshotType } from '../../clients/typescript/index.js';
import { packageRoot } from '../../lib/files/package-root.js';
import { type RunResult, run } from '../../lib/process/run.js';
import { GRPCURL_INSTALL_TIMEOUT_MS, installGrpcurlProgram } from '../support/grpcurl.js';
import { type CodeBlock, codeBlocks } from '../support/markdown.js';
import { TestPlatform } from '../support/platform.js';
import { installPythonClient, PYTHON_INSTALL_TIMEOUT_MS } from '../support/python-client.js';
import { type Need, requireNeed } from '../support/requirements.js';

/** A boot and some restores under emulation on a busy machine, with the calls around them. */
const BLOCK_TIMEOUT_MS = 300_000;
const INSTALL_TIMEOUT_MS = Math.max(GRPCURL_INSTALL_TIMEOUT_MS, PYTHON_INSTALL_TIMEOUT_MS);

/** Of each block by its name: what it needs, and what it must print. */
const BLOCKS: Record<string, { needs: Need[]; prints: string[] }> = {
  curl: { needs: ['curl'], prints: ['"Linux x86_64\\n"', 'from the host\n'] },
  grpcurl: { needs: ['go'], prints: ['wrenn.v1.SandboxService\n', 'rpc CreateSandbox', '{'] },
  cli: {
    needs: [],
    prints: ['42\n', ' to /root/README.md\n', 'PERMISSIONS', 'COMMAND', 'begun\ndone\n', 'RUNNING'],
  },
  python: { needs: ['python-venv'], prints: ['42\n'] },
  pause: { needs: [], prints: ['PAUSED', 'still here\n', 'MEMORY', ' is right: '] },
  snapshot: { needs: [], prints: ['prepared\n', 'installed\n', 'SNAPSHOT'] },
  fork: { needs: [], prints: ['the same\n'] },
};

const blocks = codeBlocks(readFileSync(join(packageRoot(), 'README.md'), 'utf8'));
const programs = blocks.filter(({ language }) => language === 'sh' || language === 'python');

describe('README.md', () => {
  it('has exactly the programs that are tested here, each marked by its name', () => {
    const names = programs.map(({ name, text }) => name ?? `unmarked: ${text}`);
    expect(names).to.have.members(Object.keys(BLOCKS));
    expect(blocks.filter(({ name }) => name)).to.deep.equal(programs);
  });
});

describe('what the documents say to run', function () {
  this.timeout(INSTALL_TIMEOUT_MS + BLOCK_TIMEOUT_MS);
  let platform: TestPlatform;

  before(async function () {
    requireNeed(this, 'root', 'qemu', 'images', 'netns');
    platform = await TestPlatform.start();
  });

  after(async () => {
    await platform?.[Symbol.asyncDispose]();
  });

  /** Runs a program in the project's root, with the address and the key of the platform. */
  const runAsPrinted = async (
    { language, text }: Pick<CodeBlock, 'language' | 'text'>,
    programFolders: string[],
  ): Promise<RunResult> => {
    const program = text
      .replaceAll('localhost:7070', new URL(platform.httpUrl).host)
      .replaceAll('localhost:7071', platform.grpcAddress);
    const [command, args] = language === 'sh' ? ['bash', ['-euo', 'pipefail']] : ['python3', []];
    return await run(command, [...args, '-c', program], {
      cwd: packageRoot(),
      env: {
        ...platform.environment,
        WRENN_ADDRESS: platform.grpcAddress,
        WRENN_API_KEY: platform.apiKey,
        PATH: [...programFolders, process.env.PATH].join(delimiter),
      },
      timeoutMs: BLOCK_TIMEOUT_MS,
    });
  };

  const folderOfGrpcurl = async () => dirname(await installGrpcurlProgram());

  for (const block of programs) {
    const { needs = [], prints = [] } = BLOCKS[block.name ?? ''] ?? {};

    it(`works with ${block.name} as README.md has it`, async function () {
      requireNeed(this, ...needs);
      const folders = [
        ...(needs.includes('go') ? [await folderOfGrpcurl()] : []),
        ...(needs.includes('python-venv') ? [(await installPythonClient()).programs] : []),
      ];
      const { stdout } = await runAsPrinted(block, folders);
      for (const text of prints) expect(stdout).to.include(text);
      const { sandboxes } = await platform.client.sandboxes.listPage();
      expect(sandboxes, 'sandboxes left behind').to.deep.equal([]);
      const { snapshots } = await platform.client.snapshots.listPage();
      const own = snapshots.filter(({ type }) => type === SnapshotType.SNAPSHOT_TYPE_SNAPSHOT);
      expect(own, 'snapshots left behind').to.deep.equal([]);
    });
  }

  it('works as `npm start` prints it', async function () {
    requireNeed(this, 'curl', 'go');
    const printed = nextSteps(readPlatformConfig(platform.environment), platform.apiKey);
    const text = printed.filter((line) => line.startsWith('  ')).join('\n');
    const { stdout } = await runAsPrinted({ language: 'sh', text }, [await folderOfGrpcurl()]);
    for (const expected of ['"sandboxes"', 'wrenn.v1.SandboxService\n', '42\n']) {
      expect(stdout).to.include(expected);
    }
  });
});
