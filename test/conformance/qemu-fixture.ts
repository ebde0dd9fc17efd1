/** Real machines for the conformance suite: images of this host, disks and networks of the test. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import type { Rootfs, RootfsProvider } from '../../agent/rootfs/provider.js';
import { createQcow2Provider } from '../../agent/rootfs/qcow2.js';
import type {
  Machine,
  MachineRecord,
  MachineSpec,
  RestoredMemory,
  VmmDriver,
} from '../../agent/vmm/driver.js';
import { CGROUP_ROOT, InstanceCgroups, inspectCgroups } from '../../agent/vmm/launch/cgroup.js';
import { identifyProcess } from '../../agent/vmm/launch/process-table.js';
import { createQemuDriver, type QemuDriverOptions } from '../../agent/vmm/qemu/driver.js';
import { machineProcesses } from '../../agent/vmm/qemu/vmm-process.js';
import { GuestServiceService } from '../../gen/ts/wrenn/envd/v1/guest.js';
import { packageRoot } from '../../lib/files/package-root.js';
import { randomId } from '../../lib/ids/random-id.js';
import { type ImageManifest, readManifest } from '../../lib/images/manifest.js';
import { silentLog } from '../../lib/log/log.js';
import { createClient } from '../../lib/rpc/client.js';
import { eventually } from '../support/eventually.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';
import { copyMachineMemory } from './memory-copy.js';
import { createTapNetwork, type TapNetwork } from './tap-network.js';
import type { VmmDriverFixture } from './vmm-driver-fixture.js';

const IMAGES_DIRECTORY = process.env.WRENN_IMAGES_DIR || '/var/lib/wrenn/images';
const MIB = 1024 * 1024;
const MEMORY_MB = 256;
/** Users of these machines; far from those that an agent gives. */
const FIRST_UID = 1_900_000_000;
const HEALTH_TIMEOUT_MS = 10_000;

export class QemuFixture implements VmmDriverFixture {
  readonly driver: VmmDriver;
  readonly instanceId = randomId(5);
  readonly directory: TemporaryDirectory;
  readonly #manifest: ImageManifest;
  readonly #tscKhz: number;
  readonly #networks: TapNetwork[] = [];
  readonly #disks: RootfsProvider;
  /** The disks of all machines, by their paths. */
  readonly #rootfs = new Map<string, Rootfs>();
  #lastUid = FIRST_UID + Math.floor(Math.random() * 1_000_000);

  private constructor(directory: TemporaryDirectory, manifest: ImageManifest, tscKhz: number) {
    this.directory = directory;
    this.#manifest = manifest;
    this.#tscKhz = tscKhz;
    this.#disks = createQcow2Provider({
      folder: join(directory.path, 'state', 'disks'),
      log: silentLog,
    });
    this.driver = this.#createDriver(this.instanceId);
  }

  static async create(): Promise<QemuFixture> {
    const manifest = await readManifest(IMAGES_DIRECTORY);
    return new QemuFixture(await temporaryDirectory(), manifest, measureTsc());
  }

  restartedDriver(): VmmDriver {
    return this.#createDriver(this.instanceId);
  }

  foreignDriver(): VmmDriver {
    return this.#createDriver(`${this.instanceId}x`);
  }

  async makeSpec(): Promise<MachineSpec> {
    return this.#makeSpec([]);
  }

  async makeSuccessor(origin: MachineSpec): Promise<MachineSpec> {
    const disk = this.#rootfsOf(origin);
    await this.#disks.seal(disk);
    return this.#makeSpec([...disk.layers, disk.layer]);
  }

  async makeLayer(spec: MachineSpec): Promise<Rootfs> {
    const { layers, layer } = this.#rootfsOf(spec);
    return this.#makeDisk(spec.sandboxId, [...layers, layer], spec.uid);
  }

  async copyMemory(spec: MachineSpec, machine: Machine): Promise<RestoredMemory> {
    const path = join(this.directory.path, 'state', `memory-${randomId()}`);
    await copyMachineMemory(await machine.locateMemory(), spec.memoryMb * MIB, path);
    return { kind: 'file', path };
  }

  broken(spec: MachineSpec): MachineSpec {
    return { ...spec, kernel: { ...spec.kernel, path: join(IMAGES_DIRECTORY, 'no-such-kernel') } };
  }

  async checkHealth(guestTarget: string): Promise<void> {
    const client = createClient(GuestServiceService, guestTarget, credentials.createInsecure());
    try {
      await client.getHealth({}, { timeoutMs: HEALTH_TIMEOUT_MS });
    } finally {
      client.close();
    }
  }

  async crash(record: MachineRecord): Promise<void> {
    process.kill(record.pid, 'SIGKILL');
    await eventually(async () => {
      if (await identifyProcess(record.pid)) throw new Error('the process still runs');
    });
  }

  async hang(record: MachineRecord): Promise<void> {
    process.kill(record.pid, 'SIGSTOP');
  }

  async leftovers(spec: MachineSpec): Promise<string[]> {
    const cgroupHost = await inspectCgroups(CGROUP_ROOT);
    const instances = [this.instanceId, `${this.instanceId}x`];
    const cgroups = instances
      .flatMap((id) => new InstanceCgroups(cgroupHost, id).pathsOf(spec.sandboxId))
      .filter((path) => existsSync(path));
    const processes = (await Promise.all(instances.map(machineProcesses)))
      .flat()
      .filter(({ sandboxId }) => sandboxId === spec.sandboxId)
      .map(({ pid }) => `process ${pid}`);
    const files = (await readdir(spec.runDirectory)).map((name) => `file ${name}`);
    return [...cgroups, ...processes, ...files];
  }

  async close(): Promise<void> {
    for (const driver of [this.driver, this.foreignDriver()]) await driver.sweep([]);
    for (const network of this.#networks) await network.remove();
    await this.directory.remove();
  }

  /** What a driver of this instance is made with. */
  driverOptions(instanceId = this.instanceId): Omit<QemuDriverOptions, 'log'> {
    return {
      instanceId,
      accelerator: 'tcg',
      tscKhz: this.#tscKhz,
      hiddenDirectories: [join(this.directory.path, 'state'), join(this.directory.path, 'run')],
      imagesDirectory: IMAGES_DIRECTORY,
    };
  }

  async #makeSpec(layers: readonly string[]): Promise<MachineSpec> {
    const sandboxId = randomId();
    this.#lastUid += 1;
    const uid = this.#lastUid;
    const runDirectory = join(this.directory.path, 'run', sandboxId);
    await mkdir(runDirectory, { recursive: true });
    const network = await createTapNetwork(uid);
    this.#networks.push(network);
    const { kernel, initrd, tools } = this.#manifest;
    return {
      sandboxId,
      vcpus: 1,
      memoryMb: MEMORY_MB,
      runDirectory,
      rootfs: await this.#makeDisk(sandboxId, layers, uid),
      kernel: { path: kernel.path, initrdPath: initrd.path },
      toolsPath: tools.path,
      network,
      uid,
    };
  }

  async #makeDisk(sandboxId: string, layers: readonly string[], uid: number): Promise<Rootfs> {
    const imagePath = this.#manifest.templates.minimal?.path ?? '';
    const request = { sandboxId, imagePath, layers, uid };
    const rootfs = await this.#disks.create(request, async () => undefined);
    this.#rootfs.set(rootfs.path, rootfs);
    return rootfs;
  }

  #rootfsOf({ rootfs: { path } }: MachineSpec): Rootfs {
    const rootfs = this.#rootfs.get(path);
    if (!rootfs) throw new Error('the disk is not of this fixture');
    return rootfs;
  }

  #createDriver(instanceId: string): VmmDriver {
    return createQemuDriver({ ...this.driverOptions(instanceId), log: silentLog });
  }
}

/** Builds what the driver needs, and measures the time stamp counter by it. */
function measureTsc(): number {
  const folder = join(packageRoot(), 'native', 'host');
  execFileSync('make', ['-s', '-C', folder]);
  execFileSync('make', ['-s', '-C', join(packageRoot(), 'native', 'preload')]);
  return Number(execFileSync(join(folder, 'build', 'tsc-khz'), { encoding: 'utf8' }));
}
