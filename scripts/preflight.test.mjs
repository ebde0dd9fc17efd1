import { expect } from 'chai';
import {
  findBuildProblems,
  findHostProblems,
  findNodeProblems,
  findPortProblems,
  readFacts,
} from './preflight.mjs';

const GIB = 1024 ** 3;

/** A machine that has everything. @type {import('./preflight.mjs').Facts} */
const GOOD = {
  platform: 'linux',
  arch: 'x64',
  wsl: false,
  distribution: { id: 'debian', version: 12, name: 'Debian GNU/Linux 12' },
  aptGet: true,
  compiler: true,
  root: true,
  namespaces: true,
  tun: 'usable',
  disks: [
    { folder: '/var/lib/wrenn', setting: 'WRENN_STATE_DIR', freeBytes: 9 * GIB, neededBytes: GIB },
  ],
  busy: [],
};

/** Expects one sentence, and that it names each of `words`. */
function expectOne(problems, ...words) {
  expect(problems).to.have.length(1);
  expect(problems[0]).to.match(/^[^\n]+\.$/);
  for (const word of words) expect(problems[0]).to.include(word);
}

describe('preflight', () => {
  it('finds nothing wrong with a machine that has everything', () => {
    expect(findNodeProblems('20.19.0')).to.deep.equal([]);
    expect(findNodeProblems('24.1.0')).to.deep.equal([]);
    expect(findBuildProblems(GOOD)).to.deep.equal([]);
    expect(findHostProblems(GOOD)).to.deep.equal([]);
    expect(findPortProblems(GOOD)).to.deep.equal([]);
  });

  it('takes Debian 13 and Debian testing, which has no number', () => {
    for (const version of [13, undefined]) {
      const distribution = { id: 'debian', version, name: 'Debian' };
      expect(findHostProblems({ ...GOOD, distribution })).to.deep.equal([]);
    }
  });

  for (const [title, problems, ...words] of [
    ['an old Node', () => findNodeProblems('20.9.0'), 'Node', '20.9.0'],
    ['macOS', () => findBuildProblems({ ...GOOD, platform: 'darwin' }), 'macOS', 'Debian'],
    ['arm64', () => findBuildProblems({ ...GOOD, arch: 'arm64' }), 'arm64', 'x86-64'],
    [
      'no C compiler',
      () => findBuildProblems({ ...GOOD, compiler: false }),
      'C compiler',
      'apt-get install',
    ],
    ['WSL', () => findHostProblems({ ...GOOD, wsl: true }), 'WSL', 'Debian'],
    [
      'another distribution',
      () =>
        findHostProblems({
          ...GOOD,
          distribution: { id: 'fedora', version: 43, name: 'Fedora 43' },
        }),
      'Fedora 43',
      'Debian 12 or 13',
    ],
    [
      'an old Debian',
      () =>
        findHostProblems({
          ...GOOD,
          distribution: { id: 'debian', version: 11, name: 'Debian 11' },
        }),
      'Debian 11',
    ],
    [
      'a user who is not root',
      () => findHostProblems({ ...GOOD, root: false, namespaces: false, tun: 'refused' }),
      'root',
      'sudo',
    ],
    [
      'a container without privileges',
      () => findHostProblems({ ...GOOD, namespaces: false }),
      '--privileged',
    ],
    [
      'no /dev/net/tun',
      () => findHostProblems({ ...GOOD, tun: 'missing' }),
      '/dev/net/tun',
      'modprobe tun',
    ],
    [
      'a disk that is nearly full',
      () => findHostProblems({ ...GOOD, disks: [{ ...GOOD.disks[0], freeBytes: 0.1 * GIB }] }),
      '0.1 GiB',
      'WRENN_STATE_DIR',
    ],
    [
      'a busy address',
      () =>
        findPortProblems({
          ...GOOD,
          busy: [{ address: '127.0.0.1:7070', setting: 'WRENN_HTTP_ADDRESS' }],
        }),
      '127.0.0.1:7070',
      'WRENN_HTTP_ADDRESS',
    ],
  ]) {
    it(`says in one sentence what to do about ${title}`, () => expectOne(problems(), ...words));
  }

  it('says nothing of Linux devices on a machine without Linux', () => {
    const mac = { ...GOOD, platform: 'darwin', tun: 'missing', aptGet: false };
    expect(findHostProblems(mac)).to.deep.equal([]);
  });

  it('reads the facts of this machine', async () => {
    const facts = await readFacts();
    expect(facts.platform).to.equal(process.platform);
    expect(facts.root).to.equal(process.getuid() === 0);
    expect(facts.disks.map(({ freeBytes }) => freeBytes > 0)).to.not.include(false);
  });
});
