import { readdir, readFile, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { hasReason } from '../lib/errors/index.js';
import { setImageReferences } from '../lib/images/image-references.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../test/support/temporary-directory.js';
import { IMAGES_KEPT_MAX, ImageStore } from './image-store.js';
import { createProgress } from './progress.js';
import type { Inputs, Recipe, Work } from './recipe.js';

const CONTENT = 'the content of an image';

describe('image store', () => {
  let directory: TemporaryDirectory;

  beforeEach(async () => {
    directory = await temporaryDirectory();
  });

  afterEach(async () => {
    await directory.remove();
  });

  it('names an image by its content and keeps it from being changed', async () => {
    const store = await openStore();
    const image = await store.provide(new TextRecipe());
    expect(image.path).to.equal(join(directory.path, `text-${image.sha256.slice(0, 16)}.img`));
    expect(await readFile(image.path, 'utf8')).to.equal(CONTENT);
    expect((await stat(image.path)).mode & 0o777).to.equal(0o444);
    expect(image.facts).to.deep.equal({ version: '1' });
  });

  it('makes an image once for the same inputs, and remembers it in another run', async () => {
    const recipe = new TextRecipe();
    const first = await (await openStore()).provide(recipe);
    const second = await (await openStore()).provide(recipe);
    expect(recipe.builds).to.equal(1);
    expect(second).to.deep.equal(first);
  });

  it('makes it anew when an input changes', async () => {
    const store = await openStore();
    await store.provide(new TextRecipe());
    const changed = new TextRecipe({ node: 'v22' });
    await store.provide(changed);
    expect(changed.builds).to.equal(1);
  });

  it('makes it anew when asked to', async () => {
    const recipe = new TextRecipe();
    await (await openStore()).provide(recipe);
    await (await openStore(true)).provide(recipe);
    expect(recipe.builds).to.equal(2);
  });

  it('makes it anew when its file is cut off or its record is damaged', async () => {
    const store = await openStore();
    const recipe = new TextRecipe();
    const { path } = await store.provide(recipe);
    await truncate(path, 3);
    await store.provide(recipe);
    expect(await readFile(path, 'utf8')).to.equal(CONTENT);
    await writeFile(join(directory.path, 'records', 'text.json'), '{');
    await store.provide(recipe);
    expect(recipe.builds).to.equal(3);
  });

  it('keeps an earlier image, from which sandboxes may run', async () => {
    const store = await openStore();
    const { path } = await store.provide(new TextRecipe());
    await store.provide(new TextRecipe({ node: 'v22' }, 'other content'));
    expect(await readFile(path, 'utf8')).to.equal(CONTENT);
  });

  it('keeps a bounded number of earlier images, and nothing else goes', async () => {
    const store = await openStore();
    await writeFile(join(directory.path, 'text-of-mine.img'), 'not an image of the store');
    const paths: string[] = [];
    for (let build = 0; build <= IMAGES_KEPT_MAX; build += 1) {
      const { path } = await store.provide(new TextRecipe({ build: `${build}` }, `${build}`));
      paths.push(path);
      // Times of files are coarse; the order of the builds must show.
      await utimes(path, build, build);
    }
    const left = await readdir(directory.path);
    expect(left).to.include('text-of-mine.img');
    expect(left).not.to.include(basename(paths[0] ?? ''));
    expect(left).to.include.members(paths.slice(1).map((path) => basename(path)));
  });

  it('keeps an old image as long as an instance refers to it', async () => {
    const store = await openStore();
    const build = async (number: number) => {
      const recipe = new TextRecipe({ build: `${number}` }, `${number}`);
      const { path } = await store.provide(recipe);
      await utimes(path, number, number);
      return path;
    };
    const first = await build(0);
    await setImageReferences(directory.path, 'first', [first]);
    await setImageReferences(directory.path, 'second', [first]);
    for (let number = 1; number <= IMAGES_KEPT_MAX; number += 1) await build(number);
    expect(await readdir(directory.path)).to.include(basename(first));

    await setImageReferences(directory.path, 'first', []);
    await build(IMAGES_KEPT_MAX + 1);
    expect(await readdir(directory.path)).to.include(basename(first));

    await setImageReferences(directory.path, 'second', []);
    await build(IMAGES_KEPT_MAX + 2);
    expect(await readdir(directory.path)).not.to.include(basename(first));
  });

  it('removes what killed builds have left', async () => {
    const store = await openStore();
    await writeFile(join(directory.path, 'building', 'half.img'), 'half');
    await writeFile(join(directory.path, 'work', 'leftover'), 'x');
    await store.open();
    expect(await readdir(join(directory.path, 'building'))).not.to.include('half.img');
    expect(await readdir(join(directory.path, 'work'))).not.to.include('leftover');
    await store.close();
    expect(await readdir(directory.path)).to.deep.equal(['records']);
  });

  it('works in other folders than a killed run, whose programs may still write', async () => {
    const places: string[] = [];
    for (const inputs of [{ run: '1' }, { run: '2' }]) {
      const recipe = new TextRecipe(inputs);
      await (await openStore()).provide(recipe);
      places.push(...recipe.places);
    }
    expect(new Set(places).size).to.equal(4);
  });

  it('says that the disk is full when it is, and leaves no image', async () => {
    const store = await openStore();
    const full = { ...toPlain(new TextRecipe()), build: () => writeFile('/dev/full', CONTENT) };
    const outcome = await store.provide(full as never).catch((error: unknown) => error);
    expect(hasReason(outcome, 'HOST_DISK_FULL')).to.equal(true);
    await store.close();
    expect(await readdir(directory.path)).to.deep.equal(['records']);
  });

  async function openStore(refresh = false): Promise<ImageStore> {
    const store = new ImageStore({
      imagesDirectory: directory.path,
      workDirectory: join(directory.path, 'work'),
      progress: createProgress({ write: () => undefined }),
      refresh,
    });
    await store.open();
    return store;
  }
});

class TextRecipe implements Recipe<{ version: string }> {
  readonly name = 'text';
  readonly suffix = '.img';
  readonly sources = ['images/image-store.ts'];
  readonly inputs: Inputs;
  readonly #content: string;
  /** Files and folders that builds were given. */
  readonly places: string[] = [];
  builds = 0;

  constructor(inputs: Inputs = { node: 'v20' }, content = CONTENT) {
    this.inputs = inputs;
    this.#content = content;
  }

  async build(target: string, work: Work): Promise<{ version: string }> {
    this.builds += 1;
    this.places.push(target, work.directory);
    work.task.step('writing');
    await writeFile(join(work.directory, 'scratch'), 'x');
    await writeFile(target, this.#content);
    return { version: '1' };
  }
}

function toPlain({ name, suffix, sources, inputs }: TextRecipe) {
  return { name, suffix, sources, inputs };
}
