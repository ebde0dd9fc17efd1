import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../../test/support/temporary-directory.js';
import { MemoryImage } from './memory-image.js';

const BLOCK_BYTES = 4096;
const SIZE_BYTES = 64 * BLOCK_BYTES;

describe('MemoryImage', () => {
  let directory: TemporaryDirectory;
  let path: string;

  beforeEach(async () => {
    directory = await temporaryDirectory();
    path = join(directory.path, 'memory');
  });

  afterEach(() => directory.remove());

  const create = () => MemoryImage.create(path, SIZE_BYTES);
  const entries = (contents: Record<string, string>) =>
    new Map(Object.entries(contents).map(([name, text]) => [name, Buffer.from(text)]));
  const long = (letter: string, blocks: number) => letter.repeat(blocks * BLOCK_BYTES);

  it('has the size of the machine’s memory and takes no room before it is used', async () => {
    await create();

    const { size, blocks } = await stat(path);

    expect(size).to.equal(SIZE_BYTES);
    expect(blocks).to.equal(0);
  });

  it('gives back what was written last, in a copy too', async () => {
    const image = await create();
    await image.write(entries({ first: 'one', gone: long('g', 3), empty: '' }));
    const last = entries({ first: long('f', 5), second: 'two', empty: '' });
    await image.write(last);

    const copy = await MemoryImage.copy(path, join(directory.path, 'copy'), SIZE_BYTES);

    expect(await image.read()).to.deep.equal(last);
    expect(await copy.read()).to.deep.equal(last);
    expect(await readFile(copy.path)).to.deep.equal(await readFile(path));
  });

  it('changes one block for one small entry', async () => {
    const image = await create();
    await image.write(entries({ small: 'before', other: long('o', 9) }));
    const before = await readFile(path);

    await image.write(entries({ small: 'after!', other: long('o', 9) }));

    expect(changedBlocks(before, await readFile(path))).to.have.length(1);
  });

  it('puts entries far from one another', async () => {
    const image = await create();

    await image.write(entries({ first: 'one', second: 'two', third: 'three' }));

    const blocks = changedBlocks(Buffer.alloc(SIZE_BYTES), await readFile(path));
    expect((blocks.at(-1) ?? 0) - (blocks[0] ?? 0)).to.be.greaterThan(2 * blocks.length);
  });

  it('clears what is used no more', async () => {
    const image = await create();
    await image.write(entries({ secret: long('secret', 2) }));

    await image.write(entries({ secret: 'x' }));

    expect((await readFile(path)).includes('secretsecret')).to.equal(false);
  });

  it('takes no more than there is room for, and keeps what it had', async () => {
    const image = await create();
    await image.write(entries({ kept: 'kept' }));

    const error = await image.write(entries({ big: long('b', 64) })).catch((thrown) => thrown);

    expect(error).to.be.an('error');
    expect(await image.read()).to.deep.equal(entries({ kept: 'kept' }));
  });

  it('refuses to copy what is no memory, or that of a larger machine', async () => {
    const strange = join(directory.path, 'strange');
    await writeFile(strange, Buffer.alloc(SIZE_BYTES, 1));
    await (await create()).write(entries({ only: 'one' }));

    const results = await Promise.allSettled([
      MemoryImage.copy(strange, join(directory.path, 'copy of the strange'), SIZE_BYTES),
      MemoryImage.copy(path, join(directory.path, 'copy of the larger'), SIZE_BYTES / 2),
    ]);

    expect(results.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
  });

  it('refuses an index that points outside', async () => {
    const image = await create();
    await image.write(entries({ only: 'one' }));
    const file = await open(path, 'r+');
    await file.write(Buffer.from([0xff, 0xff, 0xff, 0x7f]), 0, 4, 'wrenn fake memory 1\n'.length);
    await file.close();

    const error = await MemoryImage.copy(path, join(directory.path, 'copy'), SIZE_BYTES).catch(
      (thrown: unknown) => thrown,
    );

    expect(error).to.be.an('error');
  });
});

function changedBlocks(before: Buffer, after: Buffer): number[] {
  const numbers = Array.from({ length: after.length / BLOCK_BYTES }, (_, index) => index);
  return numbers.filter((number) => {
    const [start, end] = [number * BLOCK_BYTES, (number + 1) * BLOCK_BYTES];
    return !before.subarray(start, end).equals(after.subarray(start, end));
  });
}
