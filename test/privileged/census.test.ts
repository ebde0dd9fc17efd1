/** The census sees one planted leak of each kind, and nothing of others. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { randomId } from '../../lib/ids/random-id.js';
import { run } from '../../lib/process/run.js';
import {
  CENSUS_KINDS,
  type CensusKind,
  type CensusScope,
  expectNoLeaks,
  expectUnchanged,
  leaksBetween,
  takeCensus,
} from '../support/census/census.js';
import { eventually } from '../support/eventually.js';
import { requireNeed } from '../support/requirements.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';

interface Planted {
  remove(): Promise<void>;
}

describe('the leak census', () => {
  const instanceId = randomId(5);
  let directory: TemporaryDirectory;
  let scope: CensusScope;

  before(function () {
    requireNeed(this, 'root', 'netns');
  });

  beforeEach(async () => {
    directory = await temporaryDirectory();
    scope = { instanceIds: [instanceId], directories: [directory.path] };
  });

  afterEach(() => directory.remove());

  const ip = async (...args: string[]) => {
    await run('ip', args);
  };
  const path = (name: string) => join(directory.path, name);

  const listenOn = async (...where: [string] | [number, string]): Promise<Planted> => {
    const server: Server = createServer();
    server.listen(...(where as [number, string]));
    await once(server, 'listening');
    return { remove: () => new Promise((resolve) => server.close(() => resolve())) };
  };

  const sleepAs = async (name: string, cgroupFolder?: string): Promise<Planted> => {
    const options: SpawnOptions = { argv0: name, stdio: 'ignore', detached: true };
    const child: ChildProcess = spawn('sleep', ['600'], options);
    await once(child, 'spawn');
    if (cgroupFolder) await writeFile(join(cgroupFolder, 'cgroup.procs'), String(child.pid));
    return {
      async remove() {
        child.kill('SIGKILL');
        await once(child, 'exit');
      },
    };
  };

  const cgroup = async (type: 'cgroup' | 'cgroup2'): Promise<Planted & { folder: string }> => {
    const mounts = (await readFile('/proc/mounts', 'utf8'))
      .split('\n')
      .map((line) => line.split(' '));
    const [, root = ''] = mounts.find((mount) => mount[2] === type) ?? [];
    const folder = join(root, `wrenn-${instanceId}`, 'sandbox1');
    await mkdir(folder, { recursive: true });
    return {
      folder,
      async remove() {
        // Killed processes leave a cgroup in the kernel's own time.
        await eventually(() => rmdir(folder));
        await rmdir(join(folder, '..'));
      },
    };
  };

  const hasMount = (type: string) => readFileSync('/proc/mounts', 'utf8').includes(` ${type} rw`);

  const link = async (...type: string[]): Promise<Planted> => {
    const name = `wv-${instanceId}-1`;
    await ip('link', 'add', name, ...type);
    return { remove: () => ip('link', 'del', name) };
  };

  /** Something of an agent's folder of snapshots. */
  const kept = (...name: string[]) => ({
    also: ['file'] as CensusKind[],
    async plant() {
      const folder = path('snapshots');
      const parent = join(folder, ...name.slice(0, -1));
      await mkdir(parent, { recursive: true });
      const record = { kind: 'sandbox', name: 'sandbox1', generationId: 'generation1' };
      await writeFile(join(parent, name.at(-1) ?? ''), JSON.stringify({ record }));
      return { remove: () => rm(folder, { recursive: true }) };
    },
  });

  /** A process that can serve page faults, and has a folder of the scope in its environment. */
  const serveFaults = async (): Promise<Planted> => {
    const program =
      'import ctypes, time; assert ctypes.CDLL(None).syscall(323, 0) >= 0; print(1, flush=True); time.sleep(600)';
    const child = spawn('python3', ['-c', program], {
      env: { ...process.env, FOLDER: directory.path },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    return {
      async remove() {
        child.kill('SIGKILL');
        await once(child, 'exit');
      },
    };
  };

  /** For each kind one or more things to plant, and the other kinds that see them too. */
  const plants: Record<CensusKind, { also?: CensusKind[]; plant: () => Promise<Planted> }[]> = {
    namespace: [
      {
        also: ['mount'],
        async plant() {
          await ip('netns', 'add', `wrenn-${instanceId}-1`);
          return { remove: () => ip('netns', 'del', `wrenn-${instanceId}-1`) };
        },
      },
      {
        // A name whose namespace is gone.
        async plant() {
          const name = `/run/netns/wrenn-${instanceId}-2`;
          await writeFile(name, '');
          return { remove: () => rm(name) };
        },
      },
    ],
    link: [
      { plant: () => link('type', 'bridge') },
      { plant: () => link('type', 'veth', 'peer', 'name', `wp-${instanceId}`) },
      {
        async plant() {
          const name = `wv-${instanceId}-1`;
          await ip('tuntap', 'add', 'dev', name, 'mode', 'tap');
          return { remove: () => ip('link', 'del', name) };
        },
      },
      {
        also: ['namespace', 'mount'],
        async plant() {
          const namespace = `wrenn-${instanceId}-1`;
          await ip('netns', 'add', namespace);
          await ip('-n', namespace, 'tuntap', 'add', 'dev', 'tap0', 'mode', 'tap');
          return { remove: () => ip('netns', 'del', namespace) };
        },
      },
    ],
    'fault descriptor': [{ plant: serveFaults }],
    ref: [kept('refs', 'sandbox.sandbox1.json')],
    generation: [kept('generations', 'generation1', 'manifest.json')],
    'memory build': [kept('memory', 'memfile.build1')],
    'disk layer': [kept('disks', 'layer1', 'disk.qcow2')],
    route: [
      {
        also: ['link'],
        async plant() {
          const bridge = await link('type', 'bridge');
          await ip('link', 'set', `wv-${instanceId}-1`, 'up', 'addrgenmode', 'none');
          const table = ['table', '4711'];
          await ip('route', 'add', '203.0.113.77', 'dev', `wv-${instanceId}-1`, ...table);
          return bridge;
        },
      },
    ],
    'nft table': [
      {
        async plant() {
          const table = ['table', 'inet', `wrenn_${instanceId}`];
          await run('nft', ['add', ...table]);
          return { remove: async () => void (await run('nft', ['delete', ...table])) };
        },
      },
    ],
    'foreign rule': [
      {
        async plant() {
          const name = `planted${instanceId}`;
          const rule = `accept comment "wrenn-${instanceId}"`;
          const input = `table ip ${name} {\n chain c {\n ${rule}\n }\n}\n`;
          await run('nft', ['-f', '-'], { input });
          return { remove: async () => void (await run('nft', ['delete', 'table', 'ip', name])) };
        },
      },
    ],
    process: [
      { plant: () => sleepAs(`${directory.path}/vmm`) },
      { plant: () => sleepAs(`guest=wrenn-${instanceId}-sandbox1`) },
      {
        also: ['cgroup'],
        async plant() {
          const { folder, ...group } = await cgroup(hasMount('cgroup') ? 'cgroup' : 'cgroup2');
          const sleep = await sleepAs('sleep', folder);
          return {
            async remove() {
              await sleep.remove();
              await group.remove();
            },
          };
        },
      },
    ],
    cgroup: (['cgroup', 'cgroup2'] as const)
      .filter(hasMount)
      .map((type) => ({ plant: () => cgroup(type) })),
    'unix socket': [{ also: ['file'], plant: () => listenOn(path('x.sock')) }],
    port: [{ plant: () => listenOn(0, '127.0.0.1') }],
    'ledger entry': [
      {
        also: ['file'],
        async plant() {
          await mkdir(path('ledger'));
          await writeFile(path('ledger/sandbox1.json'), '{}');
          return { remove: () => rm(path('ledger'), { recursive: true }) };
        },
      },
    ],
    file: [
      {
        async plant() {
          await writeFile(path('x'), '');
          return { remove: () => rm(path('x')) };
        },
      },
    ],
    mount: [
      {
        also: ['file'],
        async plant() {
          await mkdir(path('m'));
          await run('mount', ['-t', 'tmpfs', 'tmpfs', path('m')]);
          return {
            async remove() {
              await run('umount', [path('m')]);
              await rmdir(path('m'));
            },
          };
        },
      },
    ],
  };

  for (const kind of CENSUS_KINDS) {
    for (const [place, { also = [], plant }] of plants[kind].entries()) {
      it(`sees a planted ${kind} (${place + 1})`, async () => {
        const before = await takeCensus(scope);
        const planted = await plant();
        try {
          const after = await takeCensus(scope);
          expect(Object.keys(leaksBetween(before, after))).to.have.members([kind, ...also]);
          expect(() => expectNoLeaks(before, after)).to.throw(`  ${kind}\n    + `);
          const others = { instanceIds: [randomId(5)], directories: [] };
          const seenByOthers = leaksBetween(before, await takeCensus(others));
          expect(seenByOthers[kind] ?? []).to.have.length(kind === 'port' ? 1 : 0);
        } finally {
          await planted.remove();
        }
        await eventually(async () => expectUnchanged(before, await takeCensus(scope)));
      });
    }
  }

  it('sees what went away as a change, though not as a leak', async () => {
    await writeFile(path('x'), '');
    const before = await takeCensus(scope);
    await rm(path('x'));
    const after = await takeCensus(scope);
    expectNoLeaks(before, after);
    expect(() => expectUnchanged(before, after)).to.throw(`- ${path('x')}`);
  });
});
