/**
 * What every provider of root disks must do, as one suite. A provider's test
 * makes a fixture of it and calls `describeRootfsProvider`.
 */
import {
  copyFile,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import type { Rootfs, RootfsProvider, RootfsRequest } from '../../agent/rootfs/provider.js';
import { Code, hasReason, type WrennError } from '../../lib/errors/index.js';

export interface RootfsProviderFixture {
  provider: RootfsProvider;
  /** Folder of the layers. */
  folder: string;
  /** A request for a disk of a new sandbox, all of the same template. */
  makeRequest(): Promise<RootfsRequest>;
  /** Writes a text of a few bytes to the place of a disk with this number, as a guest would. */
  write(rootfs: Rootfs, place: number, text: string): Promise<void>;
  /** Reads the texts at places 0 to `places` - 1; an empty one where nothing was written. */
  read(rootfs: Rootfs, places: number): Promise<string[]>;
  close(): Promise<void>;
}

const nothingRecorded = () => Promise.resolve();

export function describeRootfsProvider(
  name: string,
  createFixture: (context: Mocha.Context) => Promise<RootfsProviderFixture>,
): void {
  describe(`provider of root disks ${name}`, () => {
    let fixture: RootfsProviderFixture;
    let provider: RootfsProvider;

    before(async function () {
      fixture = await createFixture(this);
      provider = fixture.provider;
    });

    after(() => fixture?.close());

    afterEach(() => provider.collect(() => new Set()));

    it('tells what it is going to make before anything of it is there', async () => {
      const request = await fixture.makeRequest();
      let planned: Rootfs | undefined;

      const rootfs = await provider.create(request, async (record) => {
        planned = JSON.parse(JSON.stringify(record)) as Rootfs;
        expect(await layersOf(fixture)).not.to.include(record.layer);
      });

      expect(rootfs).to.deep.equal(planned);
      expect(await layersOf(fixture)).to.include(rootfs.layer);
      expect(rootfs.path.startsWith(`${join(fixture.folder, rootfs.layer)}/`)).to.equal(true);
    });

    it('makes nothing when that cannot be recorded', async () => {
      const failure = new Error('not recorded');
      const request = await fixture.makeRequest();

      const error = await failureOf(provider.create(request, () => Promise.reject(failure)));

      expect(error).to.equal(failure);
      expect(await layersOf(fixture)).to.deep.equal([]);
    });

    it('is refused where a layer has a folder already, which stays as it is', async () => {
      const error = await failureOf(
        provider.create(await fixture.makeRequest(), async ({ path }) => {
          await mkdir(join(dirname(path), 'of-another'), { recursive: true });
        }),
      );

      expect(error).to.be.an('error');
      const [layer = ''] = await layersOf(fixture);
      expect(await readdir(join(fixture.folder, layer))).to.deep.equal(['of-another']);
    });

    it('gives two sandboxes of a template a disk each', async () => {
      const [first, second] = [await create(), await create()];
      await fixture.write(first, 0, 'first');
      await fixture.write(second, 0, 'second');

      await provider.destroy(first);

      expect(await fixture.read(second, 1)).to.deep.equal(['second']);
      expect(await layersOf(fixture)).to.deep.equal([second.layer]);
    });

    it('takes a second destroy, also of a disk out of the ledger', async () => {
      const rootfs = await create();
      const recorded = JSON.parse(JSON.stringify(rootfs)) as Rootfs;

      await provider.destroy(recorded);
      await provider.destroy(rootfs);

      expect(await layersOf(fixture)).to.deep.equal([]);
      expect(await provider.sizeBytes(rootfs.layer)).to.equal(0);
    });

    it('seals a layer for everybody to read and nobody to write, however often', async () => {
      const rootfs = await create();
      await fixture.write(rootfs, 0, 'sealed');

      await provider.seal(rootfs);
      await provider.seal(rootfs);

      expect((await stat(rootfs.path)).mode & 0o777).to.equal(0o444);
      expect((await stat(dirname(rootfs.path))).mode & 0o777).to.equal(0o755);
      expect(await fixture.read(rootfs, 1)).to.deep.equal(['sealed']);
    });

    it('leaves a sealed layer to the collection, since a generation may have it', async () => {
      const rootfs = await create();
      await provider.seal(rootfs);

      await provider.destroy(rootfs);
      expect(await layersOf(fixture)).to.deep.equal([rootfs.layer]);

      expect(await provider.collect(() => new Set())).to.deep.equal([rootfs.layer]);
      expect(await layersOf(fixture)).to.deep.equal([]);
    });

    it('gives a layer back that was sealed for nothing', async () => {
      const request = await fixture.makeRequest();
      const rootfs = await provider.create(request, nothingRecorded);
      await provider.seal(rootfs);

      await provider.unseal(rootfs, request.uid);
      await provider.unseal(rootfs, request.uid);

      expect((await stat(rootfs.path)).mode & 0o777).to.equal(0o600);
      await provider.destroy(rootfs);
      expect(await layersOf(fixture)).to.deep.equal([]);
    });

    it('shows the sealed layers through each new one, and never writes them', async () => {
      const stack = await createStack(3);
      const [first, second] = [await create(stack), await create(stack)];

      await fixture.write(first, 1, 'mine');

      expect(await fixture.read(first, 4)).to.deep.equal(['layer 0', 'mine', 'layer 2', '']);
      expect(await fixture.read(second, 4)).to.deep.equal(['layer 0', 'layer 1', 'layer 2', '']);
      expect(second.layers).to.deep.equal(stack);
      expect(second.layerFolders).to.deep.equal(stack.map((id) => join(fixture.folder, id)));
    });

    it('merges layers into one with the content of all, and leaves them as they are', async () => {
      const stack = await createStack(11);
      const request = await fixture.makeRequest();
      const seen = await fixture.read(await create(stack), 12);

      const merged = await provider.merge(request.imagePath, stack);
      expect(await provider.collect(() => new Set([merged]))).to.include.members(stack);

      await provider.verify(merged);
      expect((await stat(join(fixture.folder, merged))).mode & 0o777).to.equal(0o755);
      expect(await fixture.read(await create([merged]), 12)).to.deep.equal(seen);
    });

    it('leaves nothing of a merge that fails', async () => {
      const { imagePath } = await fixture.makeRequest();

      const error = await failureOf(provider.merge(imagePath, ['nosuchlayer']));

      expect(hasReason(error, 'SNAPSHOT_DAMAGED')).to.equal(true);
      expect(await layersOf(fixture)).to.deep.equal([]);
    });

    it('finds a sealed layer right, and one that is gone damaged', async () => {
      const [layer = ''] = await createStack(1);
      await provider.check(layer);
      await provider.verify(layer);

      await rm(join(fixture.folder, layer), { recursive: true });

      await requireDamaged(layer, provider.check(layer));
      await requireDamaged(layer, provider.verify(layer));
    });

    it('finds any one bit of a sealed layer that is another', async () => {
      const [lower = '', upper = ''] = await createStack(2);
      for (const layer of [lower, upper]) {
        const path = await fileOf(layer);
        const { length } = await readFile(path);
        for (const byte of [0, length >> 1, length - 1]) {
          await flipBit(path, byte * 8 + (byte % 8));
          await requireDamaged(layer, provider.verify(layer));
          await flipBit(path, byte * 8 + (byte % 8));
        }
        await provider.verify(layer);
      }
    });

    it('finds a sealed layer that is cut off, or longer, also before a resume', async () => {
      const [layer = ''] = await createStack(1);
      const path = await fileOf(layer);
      const content = await readFile(path);

      for (const length of [0, content.length - 1, content.length + 1]) {
        await truncate(path, length);
        await requireDamaged(layer, provider.check(layer));
        await requireDamaged(layer, provider.verify(layer));
        await writeFile(path, content);
      }
      await provider.verify(layer);
    });

    it('takes no layer for whole whose checksum is gone, none, or that of another', async () => {
      const [layer = '', other = ''] = await createStack(2);
      const path = join(fixture.folder, layer, 'checksum.json');
      const right = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
      const changes = [{ format: 'x' }, { version: 2 }, { sizeBytes: -1 }, { crc32c: 2 ** 32 }];
      const wrong = [
        ...changes.map((change) => JSON.stringify({ ...right, ...change })),
        ...['', 'null', '{}', `${JSON.stringify(right)}${' '.repeat(1024)}`],
      ];

      for (const text of wrong) {
        await writeFile(path, text);
        await requireDamaged(layer, provider.check(layer));
        await requireDamaged(layer, provider.verify(layer));
      }
      await copyFile(join(fixture.folder, other, 'checksum.json'), path);
      await requireDamaged(layer, provider.verify(layer));
      await rm(path);
      await requireDamaged(layer, provider.check(layer));
      await requireDamaged(layer, provider.verify(layer));
    });

    it('makes no whole layer out of one that is damaged', async () => {
      const stack = await createStack(3);
      const { imagePath } = await fixture.makeRequest();
      const [, damaged = ''] = stack;
      const path = await fileOf(damaged);
      await flipBit(path, 8 * ((await readFile(path)).length - 1));

      await requireDamaged(damaged, provider.merge(imagePath, stack));

      expect(await layersOf(fixture)).to.deep.equal([...stack].sort());
    });

    it('has another checksum for what was written after a seal that came to nothing', async () => {
      const request = await fixture.makeRequest();
      const rootfs = await provider.create(request, nothingRecorded);
      await fixture.write(rootfs, 0, 'before');
      await provider.seal(rootfs);
      await provider.unseal(rootfs, request.uid);
      await requireDamaged(rootfs.layer, provider.check(rootfs.layer));

      await fixture.write(rootfs, 1, 'after');
      await provider.seal(rootfs);

      await provider.verify(rootfs.layer);
      expect(await fixture.read(rootfs, 2)).to.deep.equal(['before', 'after']);
    });

    it('makes up for a seal that failed when another layer was over it already', async () => {
      const lower = await create();
      await fixture.write(lower, 0, 'lower');
      const upper = await create([lower.layer]);

      await provider.seal(upper);

      for (const layer of [lower, upper]) {
        expect((await stat(layer.path)).mode & 0o777).to.equal(0o444);
        await provider.verify(layer.layer);
      }
    });

    it('does not make a sealed layer whole again by sealing one over it', async () => {
      const [lower = ''] = await createStack(1);
      const upper = await create([lower]);
      await rm(join(fixture.folder, lower, 'checksum.json'));

      await provider.seal(upper);

      await requireDamaged(lower, provider.verify(lower));
    });

    it('puts no disk over a layer that is gone', async () => {
      const request = { ...(await fixture.makeRequest()), layers: ['nosuchlayer'] };

      const error = await failureOf(provider.create(request, nothingRecorded));

      expect(hasReason(error, 'SNAPSHOT_DAMAGED')).to.equal(true);
      expect(await layersOf(fixture)).to.deep.equal([]);
    });

    it('collects only what is not held when it has been listed', async () => {
      const [kept, gone] = [await create(), await create()];

      expect(await provider.collect(() => undefined)).to.deep.equal([]);
      expect(await provider.collect(() => new Set([kept.layer]))).to.deep.equal([gone.layer]);

      expect(await layersOf(fixture)).to.deep.equal([kept.layer]);
    });

    it('collects no layer that is being merged', async () => {
      const stack = await createStack(11);
      const { imagePath } = await fixture.makeRequest();

      const held = new Set(stack);
      const merge = provider.merge(imagePath, stack).then((merged) => held.add(merged));
      while (held.size === stack.length) await provider.collect(() => held);
      await merge;

      await provider.verify([...held].at(-1) ?? '');
    });

    async function create(layers: readonly string[] = []): Promise<Rootfs> {
      const request = { ...(await fixture.makeRequest()), layers };
      return provider.create(request, nothingRecorded);
    }

    /** The file of a layer whatever its format. */
    async function fileOf(layer: string): Promise<string> {
      const names = await readdir(join(fixture.folder, layer));
      const name = names.find((each) => each.startsWith('disk.')) ?? '';
      return join(fixture.folder, layer, name);
    }

    /** Sealed layers; the one with number n has the text `layer n` at place n. */
    async function createStack(depth: number): Promise<string[]> {
      const layers: string[] = [];
      for (let number = 0; number < depth; number += 1) {
        const rootfs = await create(layers);
        await fixture.write(rootfs, number, `layer ${number}`);
        await provider.seal(rootfs);
        layers.push(rootfs.layer);
      }
      return layers;
    }
  });
}

async function flipBit(path: string, bit: number): Promise<void> {
  const content = await readFile(path);
  content[bit >> 3] = (content[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  await writeFile(path, content);
}

async function requireDamaged(layer: string, inspection: Promise<unknown>): Promise<void> {
  const error = (await failureOf(inspection)) as WrennError;
  expect(hasReason(error, 'SNAPSHOT_DAMAGED')).to.equal(true);
  expect(error.code).to.equal(Code.DATA_LOSS);
  expect(error.metadata.artifact).to.match(new RegExp(`^disk\\.[a-z0-9]+ of layer ${layer}$`));
}

async function layersOf({ folder }: RootfsProviderFixture): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort();
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}
