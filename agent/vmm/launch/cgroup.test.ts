import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { hasReason } from '../../../lib/errors/index.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../../test/support/temporary-directory.js';
import { InstanceCgroups, inspectCgroups } from './cgroup.js';
import { type CgroupLimits, settingsV1, settingsV2 } from './cgroup-settings.js';

const LIMITS: CgroupLimits = { memoryBytes: 1000, cpus: 1.25, pids: 7 };

describe('cgroup settings', () => {
  it('are memory without swap, a quota and a number of tasks with v1', () => {
    expect(valuesOf(settingsV1(LIMITS))).to.deep.equal({
      'memory/memory.limit_in_bytes': '1000',
      'memory/memory.memsw.limit_in_bytes': '1000',
      'memory/memory.swappiness': '0',
      'cpu/cpu.cfs_period_us': '100000',
      'cpu/cpu.cfs_quota_us': '125000',
      'pids/pids.max': '7',
    });
  });

  it('are the same with v2, in its own files', () => {
    expect(valuesOf(settingsV2(LIMITS))).to.deep.equal({
      'memory/memory.max': '1000',
      'memory/memory.swap.max': '0',
      'memory/memory.oom.group': '1',
      'cpu/cpu.max': '125000 100000',
      'pids/pids.max': '7',
    });
  });
});

/** The cgroup file system is made of folders and files, and so are these; the kernel's part is tested with real machines. */
describe('cgroups', () => {
  let root: TemporaryDirectory;

  beforeEach(async () => {
    root = await temporaryDirectory();
  });

  afterEach(() => root.remove());

  async function unifiedHost(controllers = 'cpuset cpu io memory pids') {
    await writeFile(join(root.path, 'cgroup.controllers'), `${controllers}\n`);
    return inspectCgroups(root.path);
  }

  async function legacyHost(...controllers: string[]) {
    for (const name of controllers) {
      await mkdir(join(root.path, name));
      await writeFile(join(root.path, name, 'cgroup.procs'), '');
    }
    return inspectCgroups(root.path);
  }

  it('are of v2 where the root lists controllers', async () => {
    expect(await unifiedHost()).to.deep.equal({ version: 2, root: root.path, missing: [] });
    expect((await unifiedHost('cpu io')).missing).to.deep.equal(['memory', 'pids']);
  });

  it('are of v1 where controllers have folders', async () => {
    const host = await legacyHost('memory', 'cpu');

    expect(host).to.deep.equal({ version: 1, root: root.path, missing: ['pids'] });
  });

  it('lie in one folder with v2, which gets its controllers from above', async () => {
    const cgroups = new InstanceCgroups(await unifiedHost(), 'abcde');

    await cgroups.create('sandbox1', LIMITS);

    const path = join(root.path, 'wrenn-abcde', 'sandbox1');
    expect(cgroups.pathsOf('sandbox1')).to.deep.equal([path]);
    expect(await readFile(join(path, 'memory.max'), 'utf8')).to.equal('1000');
    expect(await readFile(join(path, 'cpu.max'), 'utf8')).to.equal('125000 100000');
    for (const folder of [root.path, join(root.path, 'wrenn-abcde')]) {
      const handedDown = await readFile(join(folder, 'cgroup.subtree_control'), 'utf8');
      expect(handedDown).to.equal('+memory +cpu +pids');
    }
  });

  it('lie in a folder of each controller with v1', async () => {
    const cgroups = new InstanceCgroups(await legacyHost('memory', 'cpu', 'pids'), 'abcde');

    await cgroups.create('sandbox1', LIMITS);

    expect(cgroups.pathsOf('sandbox1')).to.deep.equal(
      ['memory', 'cpu', 'pids'].map((name) => join(root.path, name, 'wrenn-abcde', 'sandbox1')),
    );
    const limit = join(root.path, 'memory', 'wrenn-abcde', 'sandbox1', 'memory.limit_in_bytes');
    expect(await readFile(limit, 'utf8')).to.equal('1000');
    expect(await cgroups.list()).to.deep.equal(['sandbox1']);
  });

  it('are not made without the file of an optional setting, nor is that file', async () => {
    const cgroups = new InstanceCgroups(await unifiedHost(), 'abcde');

    await cgroups.create('sandbox1', LIMITS);

    const [path = ''] = cgroups.pathsOf('sandbox1');
    expect(existsSync(join(path, 'memory.swap.max'))).to.equal(false);
  });

  it('are refused on a host that lacks a controller', async () => {
    const cgroups = new InstanceCgroups(await legacyHost('memory'), 'abcde');

    const error = await cgroups.create('sandbox1', LIMITS).catch((thrown: unknown) => thrown);

    expect(hasReason(error, 'HOST_REQUIREMENT')).to.equal(true);
  });

  it('stay as they are when the sandbox has one already', async () => {
    const cgroups = new InstanceCgroups(await unifiedHost(), 'abcde');
    await cgroups.create('sandbox1', LIMITS);

    const error = await cgroups
      .create('sandbox1', { ...LIMITS, pids: 1 })
      .catch((thrown: NodeJS.ErrnoException) => thrown);

    expect(error?.code).to.equal('EEXIST');
    const [path = ''] = cgroups.pathsOf('sandbox1');
    expect(await readFile(join(path, 'pids.max'), 'utf8')).to.equal('7');
  });

  it('are removed with the folder of the instance, and only those of the instance', async () => {
    const host = await unifiedHost();
    const own = new InstanceCgroups(host, 'abcde');
    const foreign = new InstanceCgroups(host, 'abcdf');
    for (const cgroups of [own, foreign]) {
      for (const path of cgroups.pathsOf('sandbox1')) await mkdir(path, { recursive: true });
    }
    const outside = [root.path, join(root.path, 'wrenn-abcde'), `${root.path}/wrenn-abcde/..`];

    await own.end([...own.pathsOf('sandbox1'), ...foreign.pathsOf('sandbox1'), ...outside]);
    await own.end(own.pathsOf('sandbox1'));

    expect(existsSync(join(root.path, 'wrenn-abcde'))).to.equal(false);
    expect(await foreign.list()).to.deep.equal(['sandbox1']);
  });
});

function valuesOf(settings: ReturnType<typeof settingsV1>): Record<string, string> {
  return Object.fromEntries(
    settings.map(({ controller, file, value }) => [`${controller}/${file}`, value]),
  );
}
