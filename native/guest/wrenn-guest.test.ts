/** The program itself, on this machine: what it refuses, and that it tells of every step. */
import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../lib/files/package-root.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../test/support/temporary-directory.js';

/** A user without any privilege: the kernel lets it change neither clock nor randomness. */
const UNPRIVILEGED_ID = 65_534;
const ENTROPY = Buffer.alloc(64, 0xa5);
const { EPERM } = constants.errno;

describe('wrenn-guest', function () {
  this.timeout(60_000);

  let directory: TemporaryDirectory;
  let program: string;

  before(async () => {
    directory = await temporaryDirectory();
    const folder = join(packageRoot(), 'native', 'guest');
    execFileSync('make', ['--silent', '-C', folder, `BUILD=${directory.path}`], { stdio: 'pipe' });
    execFileSync('chmod', ['0755', directory.path]);
    program = join(directory.path, 'wrenn-guest');
  });

  after(async () => {
    await directory?.remove();
  });

  function run(args: string[], input: Buffer = ENTROPY): SpawnSyncReturns<string> {
    const user =
      process.getuid?.() === 0 ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : undefined;
    return spawnSync(program, args, { input, encoding: 'utf8', ...user });
  }

  it('needs no library and no loader', () => {
    const headers = execFileSync('readelf', ['--program-headers', program], { encoding: 'utf8' });

    expect(headers).not.to.match(/INTERP|DYNAMIC/);
  });

  it('tells how it is used', () => {
    const { status, stdout } = run(['--help']);

    expect(status).to.equal(0);
    expect(stdout).to.match(/^usage: wrenn-guest clock/);
  });

  it('tries every step, also after one has failed, and tells the error number of each', () => {
    const { status, stdout } = run(['restore', '1700000000000000000', '1']);

    expect(stdout).to.equal(`wall_clock ${EPERM}\nadd_entropy ${EPERM}\nreseed ${EPERM}\n`);
    expect(status).to.equal(0);
  });

  it('sets the clock alone', () => {
    expect(run(['clock', '1700000000000000000', '1']).stdout).to.equal(`wall_clock ${EPERM}\n`);
  });

  it('leaves the clock for a time of 0', () => {
    expect(run(['clock', '0', '1']).stdout).to.equal('wall_clock 0\n');
  });

  it('reports a time that no clock can hold', () => {
    const largest = String(2n ** 63n - 1n);

    expect(run(['clock', largest, '0']).stdout).to.equal(`wall_clock ${constants.errno.ERANGE}\n`);
  });

  for (const sizeBytes of [32, 512]) {
    it(`takes ${sizeBytes} bytes of entropy`, () => {
      expect(run(['restore', '0', '1'], Buffer.alloc(sizeBytes)).status).to.equal(0);
    });
  }

  for (const sizeBytes of [0, 31, 513, 1_000_000]) {
    it(`does nothing with ${sizeBytes} bytes of entropy`, () => {
      const { status, stdout } = run(['restore', '0', '1'], Buffer.alloc(sizeBytes));

      expect(status).to.equal(2);
      expect(stdout).to.equal('');
    });
  }

  const huge = '9'.repeat(20);
  for (const args of [
    [],
    ['--help', '--help'],
    ['restore'],
    ['clock', '1'],
    ['reboot', '1', '1'],
    ['clock', '1', '1', '1'],
    ['clock', '', '1'],
    ['clock', '-1', '1'],
    ['clock', '+1', '1'],
    ['clock', ' 1', '1'],
    ['clock', '1e9', '1'],
    ['clock', huge, '1'],
    ['clock', String(2n ** 64n), '1'],
    ['clock', String(2n ** 63n), '1'],
    ['clock', '1', huge],
    ['clock', '1', String(2n ** 63n - 1n)],
  ]) {
    it(`refuses ${JSON.stringify(args)}`, () => {
      const { status, stdout, stderr } = run(args);

      expect(status).to.equal(2);
      expect(stdout).to.equal('');
      expect(stderr).to.match(/^wrenn-guest: .+\n$/);
    });
  }

  it('says when nobody reads what it reports', () => {
    const script = '"$0" clock 0 1 >/dev/full';

    expect(spawnSync('sh', ['-c', script, program]).status).to.equal(1);
  });
});
