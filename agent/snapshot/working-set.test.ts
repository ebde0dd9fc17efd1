/** Working sets beside generations: a hint that is right, or none. */
import { open, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { WORKING_SET_BLOCKS_MAX } from '../../native/addon/binding.js';
import { Generations, MEMORY_BLOCKS } from '../../test/support/generations.js';
import { realFiles } from './file-operations.js';
import { parseWorkingSet, serializeWorkingSet } from './working-set.js';

const RUNS = Uint32Array.of(7, 3, 0, 2, 23, 1);
const SPARSE_FILE_BYTES = 8 * 1024 * 1024 * 1024;

describe('the working set of a generation', () => {
  let generations: Generations;
  let id: string;
  let folder: string;

  beforeEach(async () => {
    generations = await Generations.create();
    generations.memory.write(1, 'one');
    ({ id } = await generations.write());
    folder = join(generations.folder, 'generations', id);
  });

  afterEach(() => generations[Symbol.asyncDispose]());

  it('is kept in its order, also by a store that is opened anew', async () => {
    const { store } = generations;
    expect(await store.workingSet(id)).to.equal(undefined);

    await store.saveWorkingSet(id, RUNS);

    expect(await store.workingSet(id)).to.deep.equal(RUNS);
    expect(await (await generations.reopen()).workingSet(id)).to.deep.equal(RUNS);
    await generations.store.check(id);
    await generations.store.verify(id);
  });

  it('is replaced by a newer one, which may be empty', async () => {
    const { store } = generations;
    await store.saveWorkingSet(id, RUNS);
    await store.saveWorkingSet(id, Uint32Array.of(4, 1));
    expect(await store.workingSet(id)).to.deep.equal(Uint32Array.of(4, 1));
    await store.saveWorkingSet(id, new Uint32Array());
    expect(await store.workingSet(id)).to.deep.equal(new Uint32Array());
    expect(await readdir(folder)).to.have.members([
      ...['manifest.json', 'memfile.header', 'vmstate', 'working-set'],
    ]);
  });

  it('goes with its generation', async () => {
    await generations.store.saveWorkingSet(id, RUNS);
    await generations.store.abandon(id);
    const store = await generations.reopen();

    await store.collect();

    expect(await readdir(join(generations.folder, 'generations'))).to.deep.equal([]);
    expect(await store.workingSet(id)).to.equal(undefined);
    await store.saveWorkingSet(id, RUNS);
    expect(await store.workingSet(id)).to.equal(undefined);
  });

  it('is none when it is damaged anywhere', async () => {
    const { store } = generations;
    await store.saveWorkingSet(id, RUNS);
    const path = join(folder, 'working-set');
    const whole = await readFile(path);
    for (let at = 0; at < whole.length; at++) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      await writeFile(path, damaged);
      expect(await store.workingSet(id), `byte ${at}`).to.equal(undefined);
      await truncate(path, at);
      expect(await store.workingSet(id), `length ${at}`).to.equal(undefined);
    }
    await store.saveWorkingSet(id, RUNS);
    expect(await store.workingSet(id)).to.deep.equal(RUNS);
  });

  it('is none when its file is as large as no working set is', async () => {
    await using file = await open(join(folder, 'working-set'), 'wx');
    await file.truncate(SPARSE_FILE_BYTES);
    expect(await generations.store.workingSet(id)).to.equal(undefined);
  });

  it('stays as it was when a new one is wrong or cannot be written', async () => {
    await generations.store.saveWorkingSet(id, RUNS);
    await generations.store.saveWorkingSet(id, Uint32Array.of(MEMORY_BLOCKS, 1));
    expect(await generations.store.workingSet(id)).to.deep.equal(RUNS);
    for (const operation of ['writeFile', 'syncFile', 'rename'] as const) {
      const fail = () => Promise.reject(new Error(operation));
      const store = await generations.reopen({ files: { ...realFiles, [operation]: fail } });
      await store.saveWorkingSet(id, Uint32Array.of(1, 1));
      expect(await store.workingSet(id), operation).to.deep.equal(RUNS);
    }
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).to.deep.equal([]);
  });
});

describe('a file of a working set', () => {
  it('keeps what is within the memory', () => {
    const run = fc.tuple(fc.nat(999), fc.integer({ min: 1, max: 50 }));
    fc.assert(
      fc.property(fc.array(run, { maxLength: 40 }), (runs) => {
        const numbers = Uint32Array.from(runs.flat());
        const bytes = serializeWorkingSet(numbers, 1049);
        expect(parseWorkingSet(bytes, 1049)).to.deep.equal(numbers);
        expect(() => parseWorkingSet(bytes, 1050)).to.throw();
      }),
    );
  });

  it('has no run that is empty, half, beyond the memory or one too many', () => {
    const most = WORKING_SET_BLOCKS_MAX;
    for (const runs of [[1, 0], [1], [9, 2], [10, 1], [0xffff_ffff, 2]]) {
      expect(() => serializeWorkingSet(Uint32Array.from(runs), 10), `${runs}`).to.throw(RangeError);
    }
    expect(() => serializeWorkingSet(Uint32Array.of(0, most, 0, 1), 2 * most)).to.throw(RangeError);
    expect(() => serializeWorkingSet(Uint32Array.of(0, most), 2 * most)).not.to.throw();
  });

  it('is never taken for one whatever its bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => parseWorkingSet(Buffer.from(bytes), 10)).to.throw();
      }),
    );
  });
});
