/**
 * The disk of a fake machine: all that its guest writes below /disk/. A layer
 * is a JSON file of path → content in base64, or null for a file that is
 * gone; the newest one wins.
 */
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { writeFileAtomic } from '../../../lib/files/atomic-write.js';
import type { MachineSpec } from '../driver.js';
import type { GuestDisk } from './files/files.js';

const MOUNT_POINT = '/disk/';
const WRITABLE = 0o222;

type Layer = Record<string, string | null>;

export class FakeDisk implements GuestDisk {
  /** Files of the sealed layers, lowest first. */
  readonly #sealed: string[];
  #active: string;
  /** The end of the last write that was begun. */
  #written: Promise<void> = Promise.resolve();

  constructor({ path, layerFolders }: MachineSpec['rootfs']) {
    this.#active = path;
    this.#sealed = layerFolders.map((folder) => join(folder, basename(path)));
  }

  /** File of the active layer. */
  get path(): string {
    return this.#active;
  }

  holds(path: string): boolean {
    return path.startsWith(MOUNT_POINT);
  }

  /** Resolves when all is on the host's disk. */
  write(files: ReadonlyMap<string, Buffer | undefined>): Promise<void> {
    const writing = this.#written.then(async () => {
      await requireUnsealed(this.#active);
      const layer = await readLayer(this.#active);
      for (const [path, content] of files) layer[path] = content?.toString('base64') ?? null;
      await writeFileAtomic(this.#active, JSON.stringify(layer));
    });
    this.#written = writing.catch(() => undefined);
    return writing;
  }

  /** Resolves when nothing is being written. */
  flush(): Promise<void> {
    return this.#written;
  }

  async readAll(): Promise<Map<string, Buffer>> {
    const files = new Map<string, Buffer>();
    for (const path of [...this.#sealed, this.#active]) {
      for (const [name, content] of Object.entries(await readLayer(path))) {
        if (content === null) files.delete(name);
        else files.set(name, Buffer.from(content, 'base64'));
      }
    }
    return files;
  }

  /** Lets further writes go to another layer, over all that there are. */
  switchTo(path: string): void {
    this.#sealed.push(this.#active);
    this.#active = path;
  }
}

/** A real VMM has no right to write a sealed layer; this process may write anything. */
async function requireUnsealed(path: string): Promise<void> {
  const { mode } = await stat(path).catch(() => ({ mode: WRITABLE }));
  if ((mode & WRITABLE) === 0) throw new Error('the layer is sealed');
}

/** A layer that nobody wrote to may have no file, or an empty one. */
async function readLayer(path: string): Promise<Layer> {
  try {
    const text = await readFile(path, 'utf8');
    return text === '' ? {} : (JSON.parse(text) as Layer);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}
