/**
 * Root disks as qcow2 layers: files that hold only what a sandbox has written,
 * over the raw image of its template.
 */
import { access, rm, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { hostDiskFull, isDiskFull } from '../../lib/errors/disk-full.js';
import { isHostShortage } from '../../lib/errors/host-shortage.js';
import { randomId } from '../../lib/ids/random-id.js';
import { Rollback } from '../../lib/lifecycle/rollback.js';
import type { Log } from '../../lib/log/log.js';
import { RunError, run } from '../../lib/process/run.js';
import { LayerStore } from './layer-store.js';
import type { Rootfs, RootfsProvider, RootfsRequest } from './provider.js';
import { readBackingPath } from './qcow2-header.js';

const FILE_NAME = 'disk.qcow2';
/** A merge reads and writes all that the layers hold, a check their tables. */
const MERGE_TIMEOUT_MS = 600_000;
const CHECK_TIMEOUT_MS = 120_000;
/** How `qemu-img check` ends when clusters are taken that nothing uses: no content is wrong. */
const EXIT_CODE_LEAKED = 3;

export interface Qcow2ProviderOptions {
  /** Folder of the layers. */
  folder: string;
  log: Log;
  /** Program that makes the layers. */
  qemuImgPath?: string;
}

export function createQcow2Provider(options: Qcow2ProviderOptions): RootfsProvider {
  return new Qcow2Provider(options);
}

class Qcow2Provider implements RootfsProvider {
  readonly #layers: LayerStore;
  readonly #log: Log;
  readonly #qemuImgPath: string;
  /** Layers that are being merged, which nobody can hold yet. */
  readonly #making = new Set<string>();

  constructor({ folder, log, qemuImgPath = 'qemu-img' }: Qcow2ProviderOptions) {
    if (!isAbsolute(folder)) throw new Error('the folder of the layers must be absolute');
    this.#layers = new LayerStore({ folder, fileName: FILE_NAME, log });
    this.#log = log;
    this.#qemuImgPath = qemuImgPath;
  }

  async create(
    request: RootfsRequest,
    recordBefore: (planned: Rootfs) => Promise<void>,
  ): Promise<Rootfs> {
    const { imagePath, layers, uid } = request;
    if (!isAbsolute(imagePath)) throw new Error('the path of a backing image must be absolute');
    const rootfs = this.#plan(request);
    await recordBefore(rootfs);
    await this.#make(rootfs.layer, async () => {
      await this.#requireChain(imagePath, layers);
      await this.#makeOverlay(rootfs.layer, imagePath, layers);
      await this.#layers.give(rootfs.layer, uid);
    });
    return rootfs;
  }

  async seal({ layer, layers, imagePath }: Rootfs): Promise<void> {
    try {
      await this.#requireChain(imagePath, [...layers, layer]);
      await this.#layers.sealUnfinished(layers);
      await this.#layers.seal(layer);
    } catch (error) {
      throw isDiskFull(error) ? hostDiskFull(error) : error;
    }
  }

  async unseal({ layer }: Rootfs, uid: number): Promise<void> {
    await this.#layers.unseal(layer, uid);
  }

  async destroy({ layer }: Rootfs): Promise<void> {
    await this.#layers.removeActive(layer);
  }

  /**
   * An empty layer on top of all is moved down onto the image: that copies what the layers between
   * have, and nothing else. (`qemu-img convert -B` would copy the topmost layer alone.)
   */
  async merge(imagePath: string, layers: readonly string[]): Promise<string> {
    const merged = randomId();
    this.#making.add(merged);
    try {
      await this.#make(merged, async () => {
        // First: a header could become another one after it was looked at.
        await this.#layers.requireUnwritten(layers);
        await this.#requireChain(imagePath, layers);
        for (const layer of layers) await this.#layers.verify(layer);
        await this.#makeOverlay(merged, imagePath, layers);
        const onto = ['-f', 'qcow2', '-F', 'raw', '-b', imagePath];
        await run(this.#qemuImgPath, ['rebase', '-q', ...onto, this.#layers.pathOf(merged)], {
          timeoutMs: MERGE_TIMEOUT_MS,
        });
        await this.#layers.seal(merged);
      });
      return merged;
    } finally {
      this.#making.delete(merged);
    }
  }

  check(layer: string): Promise<void> {
    return this.#layers.check(layer);
  }

  async verify(layer: string): Promise<void> {
    await this.#layers.verify(layer);
    const path = this.#layers.pathOf(layer);
    try {
      await access(await readBackingPath(path));
      // Whoever still writes the layer could have another file of the host opened as what is below.
      const alone = { driver: 'qcow2', backing: null, file: { driver: 'file', filename: path } };
      await run(this.#qemuImgPath, ['check', '-q', `json:${JSON.stringify(alone)}`], {
        timeoutMs: CHECK_TIMEOUT_MS,
      });
    } catch (error) {
      if (isHostShortage(error)) throw error;
      if (!(error instanceof RunError)) throw this.#layers.damaged(layer, error);
      if (error.exitCode === EXIT_CODE_LEAKED) return;
      // A program that is not there, or took too long, says nothing about the layer.
      throw error.exitCode === null ? error : this.#layers.damaged(layer, error);
    }
  }

  sizeBytes(layer: string): Promise<number> {
    return this.#layers.sizeBytes(layer);
  }

  collect(held: () => ReadonlySet<string> | undefined): Promise<string[]> {
    return this.#layers.collect(held, this.#making);
  }

  #plan({ imagePath, layers }: RootfsRequest): Rootfs {
    const layer = randomId();
    return {
      path: this.#layers.pathOf(layer),
      format: 'qcow2',
      imagePath,
      layer,
      layers: [...layers],
      layerFolders: layers.map((lower) => this.#layers.folderOf(lower)),
    };
  }

  /** Makes a layer in a new folder, which goes when that fails. */
  async #make(layer: string, work: () => Promise<void>): Promise<void> {
    await using rollback = new Rollback((step, error) => {
      this.#log.error('undo failed', { layer, step, error });
    });
    try {
      await this.#layers.makeFolder(layer);
      rollback.defer('disk layer', () =>
        rm(this.#layers.folderOf(layer), { recursive: true, force: true }),
      );
      await work();
    } catch (error) {
      throw isDiskFull(error) ? hostDiskFull(error) : error;
    }
    rollback.commit();
  }

  /** The layer below may be open for writing still, so it is not opened here: the size is told. */
  async #makeOverlay(layer: string, imagePath: string, layers: readonly string[]): Promise<void> {
    const top = layers.at(-1);
    const below =
      top === undefined
        ? ['-F', 'raw', '-b', imagePath]
        : ['-F', 'qcow2', '-b', this.#layers.pathOf(top)];
    const { size } = await stat(imagePath);
    const path = this.#layers.pathOf(layer);
    await run(this.#qemuImgPath, ['create', '-q', '-u', '-f', 'qcow2', ...below, path, `${size}`]);
  }

  /** @throws WrennError SNAPSHOT_DAMAGED when a layer does not lie over the one below it. */
  async #requireChain(imagePath: string, layers: readonly string[]): Promise<void> {
    let below = imagePath;
    for (const layer of layers) {
      const path = this.#layers.pathOf(layer);
      try {
        if ((await readBackingPath(path)) !== below) throw new Error('it lies over another file');
      } catch (error) {
        throw this.#layers.damaged(layer, error);
      }
      below = path;
    }
  }
}
