/**
 * The folder of the layers, whatever their format: each layer is one file in a
 * folder of its own, which a VMM can be shown without the others.
 *
 *     <folder>/<layer id>/<file name>
 *                         checksum.json, when it is sealed
 */
import { chmod, chown, lstat, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isHostShortage } from '../../lib/errors/host-shortage.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { syncDirectory } from '../../lib/files/atomic-write.js';
import type { Log } from '../../lib/log/log.js';
import { addon } from '../../native/addon/binding.js';
import { measureLayer, readChecksum, removeChecksum, writeChecksum } from './layer-checksum.js';

const LAYER_ID = /^[a-z0-9]{8,64}$/;
/** The VMM's user may enter, and neither list nor add. */
const ACTIVE_FOLDER_MODE = 0o711;
const SEALED_FOLDER_MODE = 0o755;
const ACTIVE_FILE_MODE = 0o600;
const SEALED_FILE_MODE = 0o444;
/** What stat counts in, whatever the file system's own block size. */
const STAT_BLOCK_BYTES = 512;

export interface LayerStoreOptions {
  folder: string;
  fileName: string;
  log: Log;
}

export class LayerStore {
  readonly #options: LayerStoreOptions;

  constructor(options: LayerStoreOptions) {
    this.#options = options;
  }

  folderOf(layer: string): string {
    if (!LAYER_ID.test(layer)) throw new Error('not the id of a layer');
    return join(this.#options.folder, layer);
  }

  pathOf(layer: string): string {
    return join(this.folderOf(layer), this.#options.fileName);
  }

  /** Makes the folder of a new layer. Fails where one is already: it may belong to a machine that runs. */
  async makeFolder(layer: string): Promise<void> {
    await mkdir(this.#options.folder, { recursive: true, mode: ACTIVE_FOLDER_MODE });
    await mkdir(this.folderOf(layer));
    await chmod(this.folderOf(layer), ACTIVE_FOLDER_MODE);
  }

  /** Gives a new layer to the user that writes it. */
  async give(layer: string, uid: number): Promise<void> {
    await chmod(this.pathOf(layer), ACTIVE_FILE_MODE);
    await chown(this.pathOf(layer), uid, uid);
  }

  /**
   * Makes a layer nobody's to write and everybody's to read, and notes its checksum, durably. Its
   * mode comes last: what has it is sealed. It is measured again each time, since the machine may
   * have written it after a seal that came to nothing. Idempotent.
   */
  async seal(layer: string): Promise<void> {
    const [folder, path] = [this.folderOf(layer), this.pathOf(layer)];
    await chown(path, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
    await syncFile(path);
    await writeChecksum(folder, await measureLayer(path));
    await chmod(path, SEALED_FILE_MODE);
    await chmod(folder, SEALED_FOLDER_MODE);
    await syncFile(path);
    await syncDirectory(folder);
    await syncDirectory(this.#options.folder);
  }

  /** Seals those of the layers whose seal has failed before another one came over them. */
  async sealUnfinished(layers: readonly string[]): Promise<void> {
    for (const layer of layers) {
      if (await this.#isSealed(layer)) continue;
      await this.#reading(layer, () => stat(this.pathOf(layer)));
      await this.seal(layer);
    }
  }

  /** What is cheap to know: that a sealed layer is there, as long as it was. @throws WrennError SNAPSHOT_DAMAGED. */
  async check(layer: string): Promise<void> {
    await this.#reading(layer, async () => {
      const { sizeBytes } = await readChecksum(this.folderOf(layer));
      const { size } = await stat(this.pathOf(layer));
      if (size !== sizeBytes) throw new Error(`${size} bytes long, sealed with ${sizeBytes}`);
    });
  }

  /** Reads all of a sealed layer. @throws WrennError SNAPSHOT_DAMAGED. */
  async verify(layer: string): Promise<void> {
    await this.check(layer);
    await this.#reading(layer, async () => {
      const { crc32c } = await readChecksum(this.folderOf(layer));
      const measured = await measureLayer(this.pathOf(layer));
      if (measured.crc32c !== crc32c) throw new Error('its checksum differs');
    });
  }

  /**
   * Checks that nobody can change sealed layers any more. The mode of a file says nothing of who
   * has it open: a VMM that was broken into keeps what it was given before the seal.
   * @throws Error when somebody can.
   */
  async requireUnwritten(layers: readonly string[]): Promise<void> {
    for (const layer of layers) {
      await using file = await this.#reading(layer, () => open(this.pathOf(layer), 'r'));
      if (addon().hasWriters(file.fd)) throw new Error(`layer ${layer} is open for writing`);
    }
  }

  /** Gives a sealed layer back to the user that writes it. Idempotent. */
  async unseal(layer: string, uid: number): Promise<void> {
    await removeChecksum(this.folderOf(layer));
    await chmod(this.folderOf(layer), ACTIVE_FOLDER_MODE);
    await this.give(layer, uid);
  }

  /** Removes a layer that nobody else can have: one that was never sealed. Idempotent. */
  async removeActive(layer: string): Promise<void> {
    if (await this.#isSealed(layer)) return;
    await rm(this.folderOf(layer), { recursive: true, force: true });
  }

  /** A layer that is gone takes nothing. */
  async sizeBytes(layer: string): Promise<number> {
    try {
      return (await stat(this.pathOf(layer))).blocks * STAT_BLOCK_BYTES;
    } catch (error) {
      if (isGone(error)) return 0;
      throw error;
    }
  }

  /** Removes what is neither held nor in `making`, both asked once the layers are listed. */
  async collect(
    held: () => ReadonlySet<string> | undefined,
    making: ReadonlySet<string>,
  ): Promise<string[]> {
    const present = await this.#list();
    const keep = held();
    if (!keep) return [];
    const garbage = present.filter((layer) => !keep.has(layer) && !making.has(layer));
    const removed: string[] = [];
    for (const layer of garbage) {
      try {
        await rm(this.folderOf(layer), { recursive: true, force: true });
        removed.push(layer);
      } catch (error) {
        this.#options.log.error('disk layer not removed', { layer, error });
      }
    }
    return removed;
  }

  damaged(layer: string, cause: unknown): WrennError {
    const artifact = `${this.#options.fileName} of layer ${layer}`;
    return new WrennError(Code.DATA_LOSS, 'SNAPSHOT_DAMAGED', `${artifact} is damaged or gone`, {
      metadata: { artifact },
      cause,
    });
  }

  async #reading<T>(layer: string, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      throw isHostShortage(error) ? error : this.damaged(layer, error);
    }
  }

  async #isSealed(layer: string): Promise<boolean> {
    try {
      return ((await lstat(this.pathOf(layer))).mode & 0o777) === SEALED_FILE_MODE;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }

  async #list(): Promise<string[]> {
    try {
      return (await readdir(this.#options.folder)).filter((name) => LAYER_ID.test(name));
    } catch (error) {
      if (isGone(error)) return [];
      throw error;
    }
  }
}

function isGone(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
