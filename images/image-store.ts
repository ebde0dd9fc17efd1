/**
 * The images folder: files named by their content, and beside them a record of each that says from
 * which inputs it was made.
 *
 *     minimal-0123456789abcdef.ext4    an image, read-only, never changed; old ones go
 *     records/minimal.json             key of its inputs, hash, facts
 *     building/                        unfinished files, in a folder of each run
 *     manifest.json                    the current images (lib/images/manifest.ts)
 *     references/                      which images snapshots need (lib/images/image-references.ts)
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { syncDirectory, writeFileAtomic } from '../lib/files/atomic-write.js';
import { packageRoot } from '../lib/files/package-root.js';
import { randomId } from '../lib/ids/random-id.js';
import { referencedImages } from '../lib/images/image-references.js';
import type { Image } from '../lib/images/manifest.js';
import { cacheKey } from './cache-key.js';
import { explain } from './failure.js';
import type { Progress } from './progress.js';
import type { Facts, Recipe } from './recipe.js';

const BUILDING = 'building';
const NAME_HASH_LENGTH = 16;
const NAME_HASH = /^[0-9a-f]{16}$/;
/**
 * Images of one name that stay, the newest ones: the current one, and those with which agents that
 * have not read the new manifest yet still start sandboxes. A running VM has its images open, and
 * what a snapshot needs is referenced (lib/images/image-references.ts) and stays as well.
 */
export const IMAGES_KEPT_MAX = 4;
const IMAGE_MODE = 0o444;
const RECORD_MODE = 0o644;
const HASH_READ_BYTES = 1024 * 1024;

/** An image together with what its maker noted. */
export interface StoredImage<F extends Facts> extends Image {
  facts: F;
}

interface ImageRecord<F extends Facts> extends StoredImage<F> {
  key: string;
  /** Apparent size in bytes, a cheap check that the file is whole. */
  length: number;
}

export interface ImageStoreOptions {
  imagesDirectory: string;
  /** Folder in which runs have their working folders. */
  workDirectory: string;
  progress: Progress;
  /** Makes every image anew. */
  refresh: boolean;
}

export class ImageStore {
  readonly #options: ImageStoreOptions;
  /** A program of a killed run may still be writing, so no run uses the folders of another. */
  readonly #buildingDirectory: string;
  readonly #workDirectory: string;

  constructor(options: ImageStoreOptions) {
    const runId = randomId();
    this.#options = options;
    this.#buildingDirectory = join(options.imagesDirectory, BUILDING, runId);
    this.#workDirectory = join(options.workDirectory, runId);
  }

  /** Makes the folders, without what killed builds have left. No other build may run. */
  async open(): Promise<void> {
    await this.close();
    for (const directory of [this.#buildingDirectory, this.#workDirectory]) {
      await mkdir(directory, { recursive: true, mode: 0o755 });
    }
    await mkdir(join(this.#options.imagesDirectory, 'records'), { recursive: true, mode: 0o755 });
  }

  /**
   * Removes unfinished files, those of killed runs as well. What a program of a killed run fills
   * again meanwhile is left to the next run.
   */
  async close(): Promise<void> {
    const { imagesDirectory, workDirectory } = this.#options;
    for (const directory of [join(imagesDirectory, BUILDING), workDirectory]) {
      await rm(directory, { recursive: true, force: true }).catch(() => undefined);
    }
  }

  /**
   * The image of a recipe, made only when none from the same inputs is there.
   * @throws WrennError HOST_REQUIREMENT or HOST_DISK_FULL when it cannot be made.
   */
  async provide<F extends Facts>(recipe: Recipe<F>): Promise<StoredImage<F>> {
    const task = this.#options.progress.start(recipe.name);
    try {
      const key = await cacheKey(packageRoot(), recipe.sources, recipe.inputs);
      const present = this.#options.refresh ? undefined : await this.#find<F>(recipe.name, key);
      if (present) {
        task.finish('up to date');
        return present;
      }
      const record = await this.#make(recipe, key, task);
      task.finish(`made ${record.path.slice(record.path.lastIndexOf('/') + 1)}`);
      return record;
    } catch (error) {
      task.fail();
      throw explain(`building the image ${recipe.name}`, error);
    }
  }

  async #find<F extends Facts>(name: string, key: string): Promise<ImageRecord<F> | undefined> {
    try {
      const content = await readFile(this.#recordPath(name), 'utf8');
      const stored = JSON.parse(content) as ImageRecord<F>;
      if (stored.key !== key) return undefined;
      const path = join(this.#options.imagesDirectory, stored.path);
      const { size } = await stat(path);
      return size === stored.length ? { ...stored, path } : undefined;
    } catch {
      // A record or an image that is missing or damaged is made anew.
      return undefined;
    }
  }

  async #make<F extends Facts>(
    recipe: Recipe<F>,
    key: string,
    task: ReturnType<Progress['start']>,
  ): Promise<ImageRecord<F>> {
    const directory = join(this.#workDirectory, recipe.name);
    const building = join(this.#buildingDirectory, recipe.name + recipe.suffix);
    await mkdir(directory, { recursive: true, mode: 0o755 });
    const facts = await recipe.build(building, { directory, task });
    task.step('checking in');
    const sha256 = await hashFile(building);
    const name = `${recipe.name}-${sha256.slice(0, NAME_HASH_LENGTH)}${recipe.suffix}`;
    const path = await this.#publish(building, name);
    const { size: length } = await stat(path);
    const record = { key, path, sha256, length, facts };
    const stored = JSON.stringify({ ...record, path: name }, undefined, 2);
    await writeFileAtomic(this.#recordPath(recipe.name), `${stored}\n`, RECORD_MODE);
    await this.#removeOld(recipe);
    await rm(directory, { recursive: true, force: true });
    return record;
  }

  /** Gives a finished file its name, durably. An equal image of that name is replaced. */
  async #publish(building: string, name: string): Promise<string> {
    const { imagesDirectory } = this.#options;
    const path = join(imagesDirectory, name);
    await chmod(building, IMAGE_MODE);
    const file = await open(building, 'r');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(building, path);
    await syncDirectory(imagesDirectory);
    return path;
  }

  async #removeOld({ name, suffix }: Pick<Recipe<Facts>, 'name' | 'suffix'>): Promise<void> {
    const { imagesDirectory } = this.#options;
    const images = (await readdir(imagesDirectory))
      .filter((file) => file.startsWith(`${name}-`) && file.endsWith(suffix))
      .filter((file) => NAME_HASH.test(file.slice(name.length + 1, file.length - suffix.length)));
    const dated = await Promise.all(
      images.map(async (file) => {
        const path = join(imagesDirectory, file);
        return { path, madeAtMs: (await stat(path)).mtimeMs };
      }),
    );
    dated.sort((a, b) => b.madeAtMs - a.madeAtMs);
    const referenced = await referencedImages(imagesDirectory);
    for (const { path } of dated.slice(IMAGES_KEPT_MAX)) {
      if (!referenced.has(basename(path))) await rm(path, { force: true });
    }
  }

  #recordPath(name: string): string {
    return join(this.#options.imagesDirectory, 'records', `${name}.json`);
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: HASH_READ_BYTES }), hash);
  return hash.digest('hex');
}
