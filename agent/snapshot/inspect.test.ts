import { readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Code, hasReason, type WrennError } from '../../lib/errors/index.js';
import { Generations } from '../../test/support/generations.js';
import type { GenerationManifest } from './generation.js';
import { formatRecord } from './records.js';

describe('a damaged generation', () => {
  let generations: Generations;
  let first: string;
  let second: string;

  before(async () => {
    generations = await Generations.create();
    generations.memory.write(1, 'one').write(2, 'two');
    first = await generations.commit({ name: 'sandbox0' });
    generations.memory.write(2, 'three');
    second = await generations.commit({ parent: first, name: 'sandbox1' });
  });

  after(() => generations[Symbol.asyncDispose]());

  const own = (name: string) => join(generations.folder, 'generations', second, name);
  const build = (id: string) => join(generations.folder, 'memory', `memfile.${id}`);
  const artifacts = (): [artifact: string, path: string][] => [
    ['manifest.json', own('manifest.json')],
    ['memfile.header', own('memfile.header')],
    ['vmstate', own('vmstate')],
    [`memfile.${first}`, build(first)],
    [`memfile.${second}`, build(second)],
  ];

  it('is told from one that is whole, whose bytes are counted', async () => {
    const { verifiedBytes } = await generations.store.verify(second);

    const { sizeBytes } = generations.store.manifest(second).vmstate;
    expect(verifiedBytes).to.equal(2 * 4096 + sizeBytes);
  });

  it('is known by the name of the file that is gone, also before a resume', async () => {
    for (const [artifact, path] of artifacts()) {
      await whileChanged(path, rm, async () => {
        await requireDamaged(artifact, generations.store.check(second));
        await requireDamaged(artifact, generations.store.verify(second));
      });
    }
  });

  it('is known by the name of the file that is cut off, also before a resume', async () => {
    for (const [artifact, path] of artifacts()) {
      const { length } = await readFile(path);
      for (const cut of [0, 1, length >> 1, length - 1]) {
        await whileChanged(
          path,
          () => truncate(path, cut),
          async () => {
            await requireDamaged(artifact, generations.store.check(second));
            await requireDamaged(artifact, generations.store.verify(second));
          },
        );
      }
    }
  });

  it('is known by the name of the record or header of which a bit of any byte is another', async () => {
    for (const [artifact, path] of artifacts().slice(0, 3)) {
      await eachByte(path, () => requireDamaged(artifact, generations.store.check(second)));
    }
  });

  it('is known by the name of the file of memory of which a bit is another', async () => {
    const blocks: [id: string, block: number][] = [
      [first, 1],
      [second, 2],
    ];
    for (const [id, block] of blocks) {
      for (const offset of [0, 2048, 4095]) {
        const flip = () => flipBit(build(id), (block * 4096 + offset) * 8 + 3);
        await whileChanged(build(id), flip, async () => {
          await requireDamaged(`memfile.${id}`, generations.store.verify(second));
        });
      }
    }
    await generations.store.verify(second);
  });

  it('does not hide behind the device state of another one', async () => {
    const other = await readFile(join(generations.folder, 'generations', first, 'vmstate'));
    await whileChanged(
      own('vmstate'),
      (path) => rewrite(path, other),
      () => requireDamaged('vmstate', generations.store.check(second)),
    );
  });

  it('is known by the name of the file that is that of another one, whole as it is', async () => {
    for (const name of ['manifest.json', 'memfile.header', 'vmstate']) {
      const [mine, other] = [own(name), join(generations.folder, 'generations', first, name)];
      await swap(mine, other);
      for (const id of [first, second]) {
        await requireDamaged(name, generations.store.check(id));
        await requireDamaged(name, generations.store.verify(id));
      }
      await swap(mine, other);
    }
    for (const id of [first, second]) await generations.store.verify(id);
  });

  it('gives no memory of another one to a machine, nor to a generation after it', async () => {
    const [mine, other] = [own('memfile.header'), own('memfile.header').replace(second, first)];
    await swap(mine, other);
    await requireDamaged('memfile.header', generations.store.memoryFiles(second));
    await requireDamaged('memfile.header', generations.write({ parent: second }));
    await swap(mine, other);
    expect((await generations.store.memoryFiles(second)).paths).to.have.length(2);
  });

  it('is refused with a checksum of its header that is none', async () => {
    for (const headerCrc32c of [-1, 2 ** 32, 0.5, '1', null, [], true]) {
      const memory = { ...generations.store.manifest(second).memory, headerCrc32c };
      await withMemory(memory as GenerationManifest['memory'], () =>
        requireDamaged('manifest.json', generations.store.check(second)),
      );
    }
  });

  it('is refused when its manifest knows no checksum of the header that is there', async () => {
    const { headerCrc32c, ...memory } = generations.store.manifest(second).memory;
    expect(headerCrc32c).to.be.a('number');
    await withMemory(memory, () =>
      requireDamaged('memfile.header', generations.store.check(second)),
    );
  });

  /** Has another manifest for a while, whose checksum is right. */
  async function withMemory(memory: GenerationManifest['memory'], work: () => Promise<void>) {
    const manifest = { ...generations.store.manifest(second), memory };
    const text = formatRecord('wrenn-generation', manifest);
    await whileChanged(own('manifest.json'), (path) => rewrite(path, Buffer.from(text)), work);
  }

  it('that is not there at all is damaged as well', async () => {
    await requireDamaged('manifest.json', (async () => generations.store.check('nosuchone'))());
  });

  async function eachByte(path: string, check: () => Promise<void>): Promise<void> {
    const { length } = await readFile(path);
    for (let byte = 0; byte < length; byte += 1) {
      await whileChanged(path, () => flipBit(path, byte * 8 + (byte % 8)), check);
    }
  }
});

/** Changes a file for a while; that it is read-only does not keep its owner from it here. */
async function whileChanged(
  path: string,
  change: (path: string) => Promise<unknown>,
  work: () => Promise<void>,
): Promise<void> {
  const content = await readFile(path);
  await change(path);
  try {
    await work();
  } finally {
    await rewrite(path, content);
  }
}

async function swap(one: string, other: string): Promise<void> {
  const aside = `${one}.aside`;
  await rename(one, aside);
  await rename(other, one);
  await rename(aside, other);
}

async function rewrite(path: string, content: Buffer): Promise<void> {
  await rm(path, { force: true });
  await writeFile(path, content);
}

async function flipBit(path: string, bit: number): Promise<void> {
  const content = await readFile(path);
  content[bit >> 3] = (content[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  await rewrite(path, content);
}

async function requireDamaged(artifact: string, inspection: Promise<unknown>): Promise<void> {
  const error = (await inspection.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )) as WrennError;
  expect(hasReason(error, 'SNAPSHOT_DAMAGED'), artifact).to.equal(true);
  expect(error.code).to.equal(Code.DATA_LOSS);
  expect(error.metadata.artifact).to.equal(artifact);
}
