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
const ENTROPY = 'a5'.repeat(64);
const WALL_NS = 1_700_000_000_000_000_000n;
const { EINVAL, ENOSYS, EPERM, ERANGE } = constants.errno;

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

  function run(input: string, args: string[] = []): SpawnSyncReturns<string> {
    const user =
      process.getuid?.() === 0 ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : undefined;
    return spawnSync(program, args, { input, encoding: 'utf8', ...user });
  }

  it('needs no library and no loader', () => {
    const headers = execFileSync('readelf', ['--program-headers', program], { encoding: 'utf8' });

    expect(headers).not.to.match(/INTERP|DYNAMIC/);
  });

  it('tells how it is used', () => {
    const { status, stdout } = run('', ['--help']);

    expect(status).to.equal(0);
    expect(stdout).to.match(/^usage: wrenn-guest\n/);
  });

  it('tries every step, also after one has failed, and tells the error number of each', () => {
    const { status, stdout } = run(`restore ${WALL_NS} 1 ${ENTROPY}\n`);

    expect(stdout).to.equal(`wall_clock ${EPERM}\nadd_entropy ${EPERM}\nreseed ${EPERM}\n\n`);
    expect(status).to.equal(0);
  });

  it('sets the clock alone', () => {
    expect(run(`clock ${WALL_NS} 1\n`).stdout).to.equal(`wall_clock ${EPERM}\n\n`);
  });

  it('leaves the clock for a time of 0', () => {
    expect(run('clock 0 1\n').stdout).to.equal('wall_clock 0\n\n');
  });

  it('reports a time that no clock can hold', () => {
    const largest = 2n ** 63n - 1n;

    expect(run(`clock ${largest} 0\n`).stdout).to.equal(`wall_clock ${ERANGE}\n\n`);
  });

  it('answers each request, also after one that it has refused', () => {
    const { status, stdout } = run('clock 0 1\nnonsense\nclock 0 1\n');

    expect(stdout).to.equal(`wall_clock 0\n\nrefused ${ENOSYS}\n\nwall_clock 0\n\n`);
    expect(status).to.equal(0);
  });

  for (const sizeBytes of [32, 512]) {
    it(`takes ${sizeBytes} bytes of entropy`, () => {
      const { stdout } = run(`restore 0 1 ${'0f'.repeat(sizeBytes)}\n`);

      expect(stdout).to.match(/^wall_clock 0\n/);
    });
  }

  for (const [what, entropy] of [
    ['no', ''],
    ['31 bytes of', 'a5'.repeat(31)],
    ['513 bytes of', 'a5'.repeat(513)],
    ['half a byte of', `${'a5'.repeat(32)}a`],
    ['capital', 'A5'.repeat(32)],
    ['no hexadecimal', 'g0'.repeat(32)],
  ] as const) {
    it(`refuses ${what} entropy`, () => {
      expect(run(`restore 0 1 ${entropy}\n`).stdout).to.equal(`refused ${EINVAL}\n\n`);
    });
  }

  const huge = '9'.repeat(20);
  for (const request of [
    '',
    ' ',
    'clock',
    'clock ',
    'clock 1',
    'clock  1 1',
    'clock 1 1 ',
    'clock 1 1 1',
    'clock 1 1\r',
    'clock 1 1\0',
    'CLOCK 1 1',
    'reboot 1 1',
    'restore 1 1',
    `restore 1 1 ${ENTROPY} 1`,
    'clock -1 1',
    'clock +1 1',
    'clock 1e9 1',
    `clock ${huge} 1`,
    `clock ${2n ** 64n} 1`,
    `clock ${2n ** 63n} 1`,
    `clock 1 ${huge}`,
    `clock 1 ${2n ** 63n - 1n}`,
  ]) {
    it(`refuses ${JSON.stringify(request)}`, () => {
      const { status, stdout } = run(`${request}\n`);

      expect(stdout).to.match(/^refused [1-9]\d*\n\n$/);
      expect(status).to.equal(0);
    });
  }

  for (const [what, input, args] of [
    ['a request without end', 'clock 0 1', []],
    ['a request that is too long', `clock ${'0'.repeat(10_000)} 1\n`, []],
    ['arguments', '', ['clock', '0', '1']],
  ] as const) {
    it(`ends with a sentence for ${what}`, () => {
      const { status, stdout, stderr } = run(input, [...args]);

      expect(status).to.equal(2);
      expect(stdout).to.equal('');
      expect(stderr).to.match(/^wrenn-guest: .+\n$/);
    });
  }

  const pty = ['pty', '80', '24', '0', '0', '-', '/bin/true', 'true'];
  for (const [what, args] of [
    ['no program', pty.slice(0, -1)],
    ['a relative program', [...pty.slice(0, 6), 'true', 'true']],
    ['too many columns', [...pty.slice(0, 1), '65536', ...pty.slice(2)]],
    ['a negative user', [...pty.slice(0, 3), '-1', ...pty.slice(4)]],
    ['the user that is none', [...pty.slice(0, 3), '4294967295', ...pty.slice(4)]],
    ['an empty group', [...pty.slice(0, 5), '1,', ...pty.slice(6)]],
    ['words as groups', [...pty.slice(0, 5), 'wheel', ...pty.slice(6)]],
    ['too many groups', [...pty.slice(0, 5), Array(1025).fill('1').join(','), ...pty.slice(6)]],
    ['a size without rows', ['resize', '80']],
    ['a size that is none', ['resize', '80', '']],
    ['an unknown command', ['reboot']],
  ] as const) {
    it(`starts nothing for ${what}`, () => {
      const { status, stdout, stderr } = run('', [...args]);

      expect(status).to.equal(2);
      expect(stdout).to.equal('');
      expect(stderr).to.match(/^wrenn-guest: .+\n$/);
    });
  }

  it('says which step has failed when there is no terminal', () => {
    const { status, stdout } = run('', pty);

    expect(stdout).to.match(/^terminal [1-9]\d*\n$/);
    expect(status).to.equal(127);
    expect(run('', ['resize', '80', '24']).status).to.equal(1);
  });

  it('ends when nobody takes its answers', () => {
    const script = 'echo clock 0 1 | "$0" >/dev/full';

    expect(spawnSync('sh', ['-c', script, program]).status).to.equal(1);
  });
});
