/** What a guest gets that has taken its VMM over: nearly nothing. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import type { Machine, MachineSpec } from '../../agent/vmm/driver.js';
import { launch } from '../../agent/vmm/launch/launch.js';
import { MessagePipe } from '../../agent/vmm/launch/message-pipe.js';
import { machineLimits } from '../../agent/vmm/qemu/resources.js';
import { run } from '../../lib/process/run.js';
import { requireNeed } from '../support/requirements.js';
import { QemuFixture } from './qemu-fixture.js';

const TEST_TIMEOUT_MS = 60_000;
const MIB = 1024 * 1024;
const NO_CAPABILITIES = '0000000000000000';
/** Mode in which a seccomp filter decides on each system call. */
const SECCOMP_FILTER = '2';

describe('confinement of a QEMU machine', function () {
  this.timeout(TEST_TIMEOUT_MS);
  let fixture: QemuFixture;
  let spec: MachineSpec;
  let machine: Machine;
  let proc: string;

  before(async function () {
    requireNeed(this, 'root', 'qemu', 'images', 'netns');
    fixture = await QemuFixture.create();
    spec = await fixture.makeSpec();
    const signal = new AbortController().signal;
    machine = await fixture.driver.boot(spec, async () => undefined, signal);
    proc = `/proc/${machine.record.pid}`;
  });

  after(async () => {
    await machine?.destroy();
    await fixture?.close();
  });

  it('leaves no thread a user of the host, a group, a capability or a way to more', () => {
    const threads = readdirSync(join(proc, 'task'));
    expect(threads.length).to.be.greaterThan(1);
    for (const thread of threads) {
      const status = statusOf(join(proc, 'task', thread));
      const own = Array.from({ length: 4 }, () => String(spec.uid)).join(' ');
      expect(status).to.include({
        Uid: own,
        Gid: own,
        Groups: '',
        CapInh: NO_CAPABILITIES,
        CapPrm: NO_CAPABILITIES,
        CapEff: NO_CAPABILITIES,
        CapBnd: NO_CAPABILITIES,
        CapAmb: NO_CAPABILITIES,
        NoNewPrivs: '1',
        Seccomp: SECCOMP_FILTER,
      });
    }
  });

  it('has namespaces of its own, and its network is the one it was given', () => {
    for (const kind of ['mnt', 'net', 'ipc', 'uts']) {
      const own = readlinkSync(join(proc, 'ns', kind));
      expect(own).not.to.equal(readlinkSync(`/proc/self/ns/${kind}`), kind);
    }
    const network = statSync(join(proc, 'ns', 'net')).ino;
    expect(network).to.equal(statSync(join('/run/netns', spec.network.namespace)).ino);
  });

  it('lies in its cgroup, with limits for what guest and VMM need', () => {
    const { memoryBytes, pids } = machineLimits(spec, 'tcg');
    expect(machine.record.cgroups).not.to.deep.equal([]);
    for (const path of machine.record.cgroups) {
      const members = readFileSync(join(path, 'cgroup.procs'), 'utf8').trim().split('\n');
      expect(members).to.deep.equal([String(machine.record.pid)]);
    }
    const limit = (...names: string[]) => firstFile(machine.record.cgroups, names);
    const memoryLimit = Number(limit('memory.limit_in_bytes', 'memory.max'));
    expect(memoryLimit).to.equal(memoryBytes);
    expect(memoryLimit).to.be.greaterThan(spec.memoryMb * MIB);
    expect(Number(limit('pids.max'))).to.equal(pids);
    expect(Number.parseInt(limit('cpu.cfs_quota_us', 'cpu.max'), 10)).to.be.greaterThan(0);
  });

  it('can neither dump its memory nor write files without end', () => {
    const limits = readFileSync(join(proc, 'limits'), 'utf8');

    expect(limits).to.match(/^Max core file size +0 +0 /m);
    expect(limits).to.match(/^Max file size +\d+ +\d+ /m);
    expect(limits).to.match(/^Max open files +1024 +1024 /m);
  });

  it('shares neither session, nor files, nor environment with the agent', () => {
    const targets = [0, 1].map((fd) => readlinkSync(join(proc, 'fd', String(fd))));
    const environment = readFileSync(join(proc, 'environ'), 'utf8').split('\0').filter(Boolean);
    const names = environment.map((variable) => variable.split('=')[0]);

    expect(sessionOf(machine.record.pid)).to.equal(machine.record.pid);
    expect(targets).to.deep.equal(['/dev/null', '/dev/null']);
    expect(statSync(join(proc, 'fd', '2')).isFIFO()).to.equal(true);
    expect(['PATH', 'LANG', 'PWD', 'OLDPWD', 'SHLVL', '_']).to.include.members(names);
  });

  describe('as seen by a program in its place', () => {
    let secret: string;
    let server: Server;

    before(async () => {
      // What belongs to the platform and to another sandbox.
      secret = join(fixture.directory.path, 'state', 'secret');
      await writeFile(secret, 'secret', { mode: 0o644 });
      server = createServer((socket) => socket.destroy());
      const socketPath = join(fixture.directory.path, 'run', 'agent.sock');
      await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    });

    after(() => server?.close());

    /** Runs a script confined as the VMM is; what it prints on standard error comes back. */
    async function escaped(script: string): Promise<string> {
      const messages = await MessagePipe.create(join(spec.runDirectory, 'messages'));
      try {
        const program = ['/bin/sh', '-c', script];
        const running = await launch(
          program,
          {
            uid: spec.uid,
            namespace: spec.network.namespace,
            cgroups: machine.record.cgroups,
            devices: ['tun'],
            hiddenFolders: ['state', 'run'].map((name) => join(fixture.directory.path, name)),
            shownFolders: [
              { path: spec.runDirectory, writable: true },
              { path: dirname(spec.rootfs.path), writable: true },
            ],
            fileBytesMax: MIB,
          },
          messages,
        );
        await running.ended;
        return (await messages.read()).trim();
      } finally {
        await messages.close();
      }
    }

    /** Commands that root can do on the host, and that must fail here. */
    const attempts: Record<string, () => string> = {
      'read the platform’s state': () => `cat ${secret}`,
      'see sockets of the agent': () => `ls ${fixture.directory.path}/run/agent.sock`,
      'list other sandboxes': () => `ls ${dirname(spec.runDirectory)} | grep -v ${spec.sandboxId}`,
      'see services in /run': () => 'ls /run | grep .',
      'see other processes': () => `ls /proc/${process.pid}`,
      'signal other processes': () => `kill -0 ${process.pid}`,
      'see the host’s devices': () => 'ls -d /dev/tty /dev/shm',
      'make a device': () => `mknod ${spec.runDirectory}/device b 254 0`,
      'become root': () => 'setpriv --reuid=0 true',
      'enter the host’s network': () => `nsenter --net=/proc/${process.pid}/ns/net true`,
      'write a large file': () => `head -c 2000000 /dev/zero >${spec.runDirectory}/large`,
      'make a network device': () => 'ip tuntap add dev own0 mode tap && ip link delete own0',
      mount: () => 'mount -t tmpfs none /mnt && umount /mnt',
    };

    for (const [title, command] of Object.entries(attempts)) {
      it(`cannot ${title}`, async () => {
        const script = `if (${command()}) >/dev/null 2>&1; then echo done >&2; else echo refused >&2; fi`;
        const onHost = await run('unshare', ['--mount', '--net', 'sh', '-c', script]);

        const said = await escaped(script);

        expect(onHost.stderr.trim()).to.equal('done');
        expect(said).to.equal('refused');
      });
    }

    it('can write nowhere but to its own folders', async () => {
      const folders = ['/', '/tmp', '/var/tmp', '/dev', '/run', '/etc', '/var/lib', '/mnt'];
      const own = [spec.runDirectory, dirname(spec.rootfs.path)];
      const script = [...folders, ...own]
        .map((folder) => `touch ${folder}/written 2>/dev/null && echo ${folder} >&2`)
        .join('; ');

      const said = await escaped(script);

      // The folder of the disk belongs to root; only the disk in it is the machine's.
      expect(said).to.equal(spec.runDirectory);
    });

    it('can use its own folders and devices', async () => {
      const said = await escaped(
        [
          `echo x >${spec.runDirectory}/own && cat ${spec.runDirectory}/own >&2`,
          `test -w ${spec.rootfs.path} && test -w /dev/net/tun && echo ok >&2`,
        ].join('; '),
      );

      expect(said).to.equal('x\nok');
    });
  });
});

/** The fields of a /proc/…/status file; blanks between values are single ones. */
function statusOf(path: string): Record<string, string> {
  const lines = readFileSync(join(path, 'status'), 'utf8').trim().split('\n');
  return Object.fromEntries(
    lines.map((line) => {
      const [name = '', value = ''] = line.split(':', 2);
      return [name, value.trim().replace(/\s+/g, ' ')];
    }),
  );
}

function sessionOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]);
}

/** Content of the first of these files that there is in one of the folders. */
function firstFile(folders: readonly string[], names: readonly string[]): string {
  for (const folder of folders) {
    for (const name of readdirSync(folder)) {
      if (names.includes(name)) return readFileSync(join(folder, name), 'utf8').trim();
    }
  }
  throw new Error(`there is no ${names.join(' or ')}`);
}
