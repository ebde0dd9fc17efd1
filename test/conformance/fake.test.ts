import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { createFakeRootfsProvider } from '../../agent/rootfs/fake/provider.js';
import type { Rootfs } from '../../agent/rootfs/provider.js';
import type {
  Machine,
  MachineRecord,
  MachineSpec,
  RestoredMemory,
} from '../../agent/vmm/driver.js';
import { createFakeDriver } from '../../agent/vmm/fake/driver.js';
import { GuestServiceService } from '../../gen/ts/wrenn/envd/v1/guest.js';
import { randomId } from '../../lib/ids/random-id.js';
import { createClient } from '../../lib/rpc/client.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';
import { describeRootfsProvider, type RootfsProviderFixture } from './rootfs-provider.js';
import { describeVmmDriver, type VmmDriverFixture } from './vmm-driver.js';

const HEALTH_TIMEOUT_MS = 5000;
const MEMORY_MB = 8;

class FakeFixture implements VmmDriverFixture {
  readonly driver = createFakeDriver();
  readonly #foreign = createFakeDriver();
  readonly #directory: TemporaryDirectory;

  constructor(directory: TemporaryDirectory) {
    this.#directory = directory;
  }

  restartedDriver() {
    return createFakeDriver({ machines: this.driver.machines });
  }

  foreignDriver() {
    return createFakeDriver({ machines: this.#foreign.machines });
  }

  async makeSpec(): Promise<MachineSpec> {
    const sandboxId = randomId();
    const runDirectory = join(this.#directory.path, sandboxId);
    await mkdir(runDirectory);
    return {
      sandboxId,
      vcpus: 1,
      memoryMb: MEMORY_MB,
      runDirectory,
      rootfs: await this.#newDisk([]),
      kernel: { path: '/images/kernel', initrdPath: '/images/initrd' },
      toolsPath: '/images/tools',
      network: {
        namespace: 'fake',
        tapName: 'tap0',
        guestMac: '02:00:00:00:00:01',
        guestAddress: '169.254.0.21/30',
        gatewayAddress: '169.254.0.22',
        guestIp: '10.192.0.3',
      },
      uid: 70_001,
    };
  }

  broken(spec: MachineSpec): MachineSpec {
    this.driver.faults.failNext('driver.boot.started');
    return spec;
  }

  async makeSuccessor({ rootfs }: MachineSpec): Promise<MachineSpec> {
    const layers = [...rootfs.layerFolders, dirname(rootfs.path)];
    return { ...(await this.makeSpec()), rootfs: await this.#newDisk(layers) };
  }

  makeLayer(): Promise<MachineSpec['rootfs']> {
    return this.#newDisk([]);
  }

  async copyMemory(_spec: MachineSpec, machine: Machine): Promise<RestoredMemory> {
    const memory = await machine.locateMemory();
    if (memory.kind !== 'memfd') throw new Error('the memory of a fake machine is a file');
    const path = join(this.#directory.path, `memory.${randomId()}`);
    await copyFile(memory.path, path);
    return { kind: 'file', path };
  }

  async checkHealth(guestTarget: string): Promise<void> {
    const client = createClient(GuestServiceService, guestTarget, credentials.createInsecure());
    try {
      await client.getHealth({}, { timeoutMs: HEALTH_TIMEOUT_MS });
    } finally {
      client.close();
    }
  }

  crash({ runDirectory }: MachineRecord): Promise<void> {
    return this.driver.killVmm(runDirectory);
  }

  async hang({ runDirectory }: MachineRecord): Promise<void> {
    this.driver.hangVmm(runDirectory);
  }

  async leftovers({ runDirectory }: MachineSpec): Promise<string[]> {
    const held = [...this.driver.held(), ...this.#foreign.held()];
    const files = (await readdir(runDirectory)).map((name) => `file ${name}`);
    return [...held.filter((path) => path === runDirectory), ...files];
  }

  async #newDisk(layerFolders: string[]): Promise<MachineSpec['rootfs']> {
    const folder = join(this.#directory.path, `disk.${randomId()}`);
    await mkdir(folder);
    return { path: join(folder, 'disk.fake'), format: 'raw', layerFolders };
  }

  async close(): Promise<void> {
    for (const driver of [this.driver, this.#foreign]) await driver.sweep([]);
    await this.#directory.remove();
  }
}

describeVmmDriver('fake', async () => new FakeFixture(await temporaryDirectory()));

/** What the guests of fake machines write, by place. */
async function readPlaces({ path }: Rootfs): Promise<Record<number, string>> {
  return JSON.parse((await readFile(path, 'utf8')) || '{}') as Record<number, string>;
}

describeRootfsProvider('fake', async (): Promise<RootfsProviderFixture> => {
  const directory = await temporaryDirectory();
  const folder = join(directory.path, 'disks');
  const uid = process.getuid?.() ?? 0;
  return {
    provider: createFakeRootfsProvider({ folder }),
    folder,
    makeRequest: async () => ({
      sandboxId: randomId(),
      imagePath: '/images/minimal',
      layers: [],
      uid,
    }),
    async write(rootfs, place, text) {
      const places = { ...(await readPlaces(rootfs)), [place]: text };
      await writeFile(rootfs.path, JSON.stringify(places));
    },
    async read(rootfs, places) {
      const written = await readPlaces(rootfs);
      return Array.from({ length: places }, (_, place) => written[place] ?? '');
    },
    close: () => directory.remove(),
  };
});
