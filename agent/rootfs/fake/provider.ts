/**
 * Root disks for hosts whose machines are fakes. A layer is one file with the
 * whole content of the disk; a new one starts as a copy of the one below it.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { FaultPlan } from '../../../lib/faults/fault-plan.js';
import { randomId } from '../../../lib/ids/random-id.js';
import { type Log, silentLog } from '../../../lib/log/log.js';
import { LayerStore } from '../layer-store.js';
import type { Rootfs, RootfsProvider, RootfsRequest } from '../provider.js';

const FILE_NAME = 'disk.fake';

export interface FakeRootfsOptions {
  /** Folder of the layers. */
  folder: string;
  faults?: FaultPlan;
  log?: Log;
}

export interface FakeRootfsProvider extends RootfsProvider {
  readonly faults: FaultPlan;
}

export function createFakeRootfsProvider(options: FakeRootfsOptions): FakeRootfsProvider {
  return new FakeProvider(options);
}

class FakeProvider implements FakeRootfsProvider {
  readonly faults: FaultPlan;
  readonly #layers: LayerStore;
  readonly #making = new Set<string>();

  constructor({ folder, faults = new FaultPlan(), log = silentLog }: FakeRootfsOptions) {
    this.faults = faults;
    this.#layers = new LayerStore({ folder, fileName: FILE_NAME, log });
  }

  async create(
    { imagePath, layers }: RootfsRequest,
    recordBefore: (planned: Rootfs) => Promise<void>,
  ): Promise<Rootfs> {
    const layer = randomId();
    const rootfs: Rootfs = {
      path: this.#layers.pathOf(layer),
      format: 'raw',
      imagePath,
      layer,
      layers: [...layers],
      layerFolders: layers.map((lower) => this.#layers.folderOf(lower)),
    };
    await recordBefore(rootfs);
    await this.#make(layer, layers, 'rootfs.create');
    return rootfs;
  }

  async seal({ layer, layers }: Rootfs): Promise<void> {
    await this.faults.reach('rootfs.seal');
    await this.#layers.sealUnfinished(layers);
    await this.#layers.seal(layer);
  }

  async unseal({ layer }: Rootfs): Promise<void> {
    await this.#layers.unseal(layer, process.getuid?.() ?? 0);
  }

  async destroy({ layer }: Rootfs): Promise<void> {
    await this.faults.reach('rootfs.destroy');
    await this.#layers.removeActive(layer);
  }

  async merge(_imagePath: string, layers: readonly string[]): Promise<string> {
    const merged = randomId();
    this.#making.add(merged);
    try {
      for (const layer of layers) await this.#layers.verify(layer);
      await this.#make(merged, layers, 'rootfs.merge');
      await this.#layers.seal(merged);
      return merged;
    } finally {
      this.#making.delete(merged);
    }
  }

  check(layer: string): Promise<void> {
    return this.#layers.check(layer);
  }

  verify(layer: string): Promise<void> {
    return this.#layers.verify(layer);
  }

  sizeBytes(layer: string): Promise<number> {
    return this.#layers.sizeBytes(layer);
  }

  async collect(held: () => ReadonlySet<string> | undefined): Promise<string[]> {
    await this.faults.reach('rootfs.collect');
    return this.#layers.collect(held, this.#making);
  }

  async #make(
    layer: string,
    lower: readonly string[],
    step: 'rootfs.create' | 'rootfs.merge',
  ): Promise<void> {
    const top = lower.at(-1);
    await this.#layers.makeFolder(layer);
    try {
      await this.faults.reach(step);
      if (top === undefined) await writeFile(this.#layers.pathOf(layer), '');
      else await this.#copy(top, layer);
    } catch (error) {
      await rm(this.#layers.folderOf(layer), { recursive: true, force: true });
      throw error;
    }
  }

  /** The copy of a sealed layer would be sealed as well. */
  async #copy(from: string, to: string): Promise<void> {
    const content = await readFile(this.#layers.pathOf(from)).catch((error: unknown) => {
      throw this.#layers.damaged(from, error);
    });
    await writeFile(this.#layers.pathOf(to), content);
  }
}
