import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../lib/files/package-root.js';
import { run } from '../../lib/process/run.js';
import { requireNeed } from '../../test/support/requirements.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../test/support/temporary-directory.js';

/** Covers a folder, tells that it has, and waits to be ended. */
const COVER = 'mount -t tmpfs tmpfs "$1" && mount -o remount,bind,ro "$1" && echo ready && read x';

describe('show-folder', function () {
  this.timeout(60_000);
  let directory: TemporaryDirectory;
  let program: string;

  before(async function () {
    requireNeed(this, 'root');
    directory = await temporaryDirectory();
    const native = join(packageRoot(), 'native', 'host');
    await run('make', ['-s', '-C', native]);
    program = join(native, 'build', 'show-folder');
  });

  after(() => directory?.remove());

  it('puts a folder into a view that covers its place, and leaves the cover read-only', async () => {
    const covered = join(directory.path, 'covered');
    const shown = join(covered, 'layers', 'one');
    await mkdir(shown, { recursive: true });
    await writeFile(join(shown, 'file'), 'content');
    await writeFile(join(covered, 'secret'), 'secret');
    const args = ['--mount', '--propagation', 'private', 'sh', '-c', COVER, 'sh', covered];
    const process = spawn('unshare', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      await once(process.stdout, 'data');
      const inside = (...command: string[]) =>
        run('nsenter', [`--target=${process.pid}`, '--mount', '--', ...command]);

      await run(program, [String(process.pid), shown]);

      expect((await inside('cat', join(shown, 'file'))).stdout).to.equal('content');
      await inside('touch', join(shown, 'written'));
      expect((await inside('ls', covered)).stdout).to.equal('layers\n');
      const writeCover = inside('touch', join(covered, 'written'));
      expect(await writeCover.catch((error: unknown) => error)).to.be.an('error');
    } finally {
      process.kill('SIGKILL');
    }
  });

  it('says what is wrong with its arguments', () => {
    for (const args of [[], ['1'], ['x', '/tmp'], ['1', 'tmp'], ['999999999', '/tmp']]) {
      const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
      expect(status).to.equal(1);
      expect(stderr).not.to.equal('');
    }
  });
});
