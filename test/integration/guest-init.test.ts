/**
 * initrd/init.sh and wrenn-init.sh in a real guest. Its root disk is no distribution at all, and
 * in place of Node and envd there is a script that looks around and then ends in several ways.
 */
import { execFileSync } from 'node:child_process';
import { chmod, copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { makeExt4 } from '../../images/base/ext4.js';
import { packageRoot } from '../../lib/files/package-root.js';
import { readManifest } from '../../lib/images/manifest.js';
import { runToEnd } from '../support/console-guest.js';
import { requireNeed } from '../support/requirements.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';

const IMAGES_DIRECTORY = process.env.WRENN_IMAGES_DIR || '/var/lib/wrenn/images';
const ROOT_DISK_MB = 64;

/** Stands where the loader of envd's Node is. Every start of it does something else. */
const DAEMON = `#!/wrenn/bin/busybox sh
start=$(cat /run/starts 2> /dev/null || echo 0)
start=$((start + 1))
echo $start > /run/starts
echo "start $start: $*"
case $start in
  1)
    echo "hostname: $(hostname)"
    echo "resolver: $(cat /etc/resolv.conf), a link: $([ -L /etc/resolv.conf ] && echo yes || echo no)"
    echo "address: $(ip -4 -o address show dev eth0 | awk '{ print $4 }')"
    echo "route: $(ip route show default)"
    echo "lo: $(ip -o link show lo | grep -o ',UP')"
    echo "mounts: $(awk '{ print $2 }' /proc/mounts | sort -u | tr '\\n' ' ')"
    echo "substitution: $(cat /dev/fd/0 < /etc/hostname)"
    echo "run: $(stat -c '%a' /run/wrenn)"
    echo "init: $(tr '\\0' ' ' < /proc/1/cmdline)"
    echo "home: $HOME, path: $PATH"
    # Orphans, which PID 1 inherits.
    for number in 1 2 3 4 5; do (sleep 0.1 &); done
    sleep 1
    echo "zombies: $(ps -o stat | grep -c Z)"
    exit 7
    ;;
  2) kill -KILL $$ ;;
  3)
    trap 'echo "asked to end"; exit 0' TERM
    kill -TERM 1
    while :; do sleep 0.1; done
    ;;
esac
`;

describe('init of a guest', function () {
  this.timeout(5 * 60_000);

  let directory: TemporaryDirectory;
  let lines: string[];

  before(async function () {
    requireNeed(this, 'qemu', 'images');
    directory = await temporaryDirectory();
    lines = await runToEnd({
      imagesDirectory: IMAGES_DIRECTORY,
      stateDirectory: directory.path,
      drives: {
        // The other way round than a sandbox has them: the order is the VMM's own business.
        tools: await makeTools(directory.path),
        rootfs: await makeRoot(directory.path),
      },
    });
  });

  after(async () => {
    await directory?.remove();
  });

  it('starts the daemon by its own loader on any root disk', () => {
    expect(value('start 1')).to.equal('--library-path /wrenn/lib /wrenn/bin/node /wrenn/envd.js');
  });

  it('sets hostname, addresses and default route', () => {
    expect(value('hostname')).to.equal('named');
    expect(value('address')).to.equal('169.254.0.21/30');
    expect(value('route')).to.match(/^default via 169\.254\.0\.22 dev eth0/);
    expect(value('lo')).to.equal(',UP');
  });

  it('puts the resolver in place of a link into nowhere', () => {
    expect(value('resolver')).to.equal('nameserver 169.254.0.22, a link: no');
  });

  it('mounts what programs expect', () => {
    expect(value('mounts').split(' ')).to.include.members([
      '/',
      '/dev',
      '/dev/pts',
      '/dev/shm',
      '/proc',
      '/run',
      '/sys',
      '/sys/fs/cgroup',
      '/wrenn',
    ]);
    expect(value('substitution')).to.equal('named');
    expect(value('run')).to.equal('755');
  });

  it('gives the daemon a home and a path', () => {
    expect(value('home')).to.equal(
      '/root, path: /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    );
  });

  it('stays PID 1 and collects orphans', () => {
    expect(value('init')).to.match(/wrenn-init\.sh$/);
    expect(value('zombies')).to.equal('0');
  });

  it('starts the daemon again after it has failed and after it was killed', () => {
    expect(lines.filter((line) => line.startsWith('start '))).to.have.lengthOf(3);
    expect(lines.filter((line) => line.startsWith('wrenn-init: envd started'))).to.have.lengthOf(3);
  });

  it('lets the daemon end and then ends the machine when it is asked to', () => {
    expect(lines).to.include('asked to end');
  });

  it('ends the machine with one line when a drive is missing', async () => {
    const alone = await runToEnd({
      imagesDirectory: IMAGES_DIRECTORY,
      stateDirectory: directory.path,
      drives: { rootfs: join(directory.path, 'root.ext4') },
    });
    expect(alone.filter((line) => /^wrenn-initrd: .*"tools"/.test(line))).to.have.lengthOf(1);
    expect(alone.filter((line) => line.includes('panic'))).to.deep.equal([]);
  });

  /** What the daemon printed behind `name: `. */
  function value(name: string): string {
    const line = lines.find((candidate) => candidate.startsWith(`${name}: `));
    return (line ?? `${name}: nothing printed`).slice(name.length + 2).trim();
  }
});

async function makeRoot(directory: string): Promise<string> {
  const root = join(directory, 'root');
  await mkdir(join(root, 'etc'), { recursive: true });
  await writeFile(join(root, 'etc/hostname'), 'named\n');
  await symlink('/run/service/that/never/runs.conf', join(root, 'etc/resolv.conf'));
  const target = join(directory, 'root.ext4');
  await makeExt4(root, target, ROOT_DISK_MB);
  return target;
}

/** The tools drive of the machine with this tree's scripts, and the script for a daemon. */
async function makeTools(directory: string): Promise<string> {
  const { tools } = await readManifest(IMAGES_DIRECTORY);
  const root = join(directory, 'tools');
  execFileSync('unsquashfs', ['-no-progress', '-d', root, tools.path, 'bin/busybox'], {
    stdio: 'pipe',
  });
  for (const name of ['wrenn-init.sh', 'kernel.mounts', 'runtime.mounts']) {
    await copyFile(join(packageRoot(), 'images', name), join(root, name));
  }
  const loader = join(root, 'lib/ld-linux-x86-64.so.2');
  await mkdir(join(root, 'lib'));
  await writeFile(loader, DAEMON);
  await chmod(loader, 0o755);
  const target = join(directory, 'tools.squashfs');
  execFileSync('mksquashfs', [root, target, '-noappend', '-all-root', '-quiet', '-no-progress'], {
    stdio: 'pipe',
  });
  return target;
}
