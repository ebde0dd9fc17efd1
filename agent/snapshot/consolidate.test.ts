import { stat } from 'node:fs/promises';
import { expect } from 'chai';
import { Generations, MEMORY_BLOCKS } from '../../test/support/generations.js';
import { snapshotFiles } from '../../test/support/snapshot-files.js';
import { CHAIN_LENGTH_MAX, LINEAGE_MAX } from './generation.js';

describe('consolidation of a generation', () => {
  let generations: Generations;

  beforeEach(async () => {
    generations = await Generations.create();
  });

  afterEach(() => generations[Symbol.asyncDispose]());

  it('leaves a chain that has room for one more as it is', async () => {
    const last = (await generations.commitChain(CHAIN_LENGTH_MAX - 1)).at(-1) ?? '';

    const id = await generations.store.consolidate(last, () => Promise.reject(new Error('asked')));

    expect(id).to.equal(last);
  });

  it('at depth 10 makes one file of memory and one layer with the same content', async () => {
    const chain = await generations.commitChain(CHAIN_LENGTH_MAX);
    const last = chain.at(-1) ?? '';
    const { store } = generations;
    const before = await generations.read(last);
    const source = store.manifest(last);
    expect(source.memory.builds).to.have.length(CHAIN_LENGTH_MAX);

    const id = await store.consolidate(last, async (imagePath, layers) => {
      expect(imagePath).to.equal('/images/minimal');
      expect(layers).to.deep.equal(source.disk.layers);
      return 'merged00';
    });

    expect((await generations.read(id)).equals(before)).to.equal(true);
    const manifest = store.manifest(id);
    expect(manifest.memory.builds).to.have.length(1);
    expect(manifest.disk.layers).to.deep.equal(['merged00']);
    expect(manifest).to.deep.include({
      template: source.template,
      createdAtMs: source.createdAtMs,
      vmstate: source.vmstate,
      guest: source.guest,
    });
    expect(manifest.lineage.map((entry) => entry.id)).to.deep.equal([...chain.slice(0, -1), id]);
    await store.verify(id);
  });

  it('is kept from the collection until a ref names it, as the old one is', async () => {
    const chain = await generations.commitChain(CHAIN_LENGTH_MAX);
    const last = chain.at(-1) ?? '';
    const { store } = generations;
    const id = await store.consolidate(last, async () => 'merged00');

    await store.collect();
    await store.verify(last);
    await store.verify(id);
    expect([...(store.layers() ?? [])]).to.include('merged00');
    await generations.setRef(id);
    await store.collect();

    const present = await generations.present();
    expect(present.generations).to.deep.equal([id]);
    expect(present.builds).to.deep.equal(store.manifest(id).memory.builds);
    await store.verify(id);
  });

  it('that is abandoned leaves nothing, and the old one stays', async () => {
    const last = (await generations.commitChain(CHAIN_LENGTH_MAX)).at(-1) ?? '';
    const { store } = generations;
    await store.collect();
    const before = await generations.present();

    await store.abandon(await store.consolidate(last, async () => 'merged00'));

    expect(await generations.present()).to.deep.equal(before);
    await store.verify(last);
  });

  it('writes a block once that many generations have changed', async () => {
    const last = (await generations.commitChain(CHAIN_LENGTH_MAX)).at(-1) ?? '';

    const id = await generations.store.consolidate(last, async () => 'merged00');

    const [path = ''] = (await generations.store.memoryFiles(id)).paths;
    expect((await stat(path)).blocks * 512).to.equal((CHAIN_LENGTH_MAX + 1) * 4096);
  });

  it('goes on for any number of generations, and the lineage stays bounded', async () => {
    let parent: string | undefined;
    const rounds = LINEAGE_MAX + 5;
    for (let number = 0; number < rounds; number += 1) {
      generations.memory.write(number % MEMORY_BLOCKS, `generation ${number}`);
      const id = await generations.commit(parent ? { parent } : {});
      parent = await generations.store.consolidate(id, async () => 'merged00');
      expect(generations.store.manifest(parent).memory.builds.length).to.be.below(CHAIN_LENGTH_MAX);
      if (parent !== id) await generations.setRef(parent);
      await generations.store.collect();
      expect((await generations.present()).builds.length).to.be.most(CHAIN_LENGTH_MAX);
    }
    const id = parent ?? '';
    expect((await generations.read(id)).equals(generations.memory.content)).to.equal(true);
    expect(generations.store.manifest(id).lineage).to.have.length(LINEAGE_MAX);
    expect(generations.store.manifest(id).lineage.at(-1)?.id).to.equal(id);
    await generations.store.verify(id);
  });

  it('merges layers of a disk alone, and memory alone, when only they are as many', async () => {
    const { store } = generations;
    const layers = Array.from({ length: CHAIN_LENGTH_MAX }, (_, layer) => `layer00${layer}`);
    const shallow = await generations.commit({ layers });
    const merged = store.manifest(await store.consolidate(shallow, async () => 'merged00'));
    expect(merged.disk.layers).to.deep.equal(['merged00']);
    expect(merged.memory).to.deep.equal(store.manifest(shallow).memory);

    const deep = (await generations.commitChain(CHAIN_LENGTH_MAX, ['layer000'])).at(-1) ?? '';
    const short = await store.consolidate(deep, () => Promise.reject(new Error('asked')));
    expect(store.manifest(short).disk.layers).to.deep.equal(['layer000']);
    expect(store.manifest(short).memory.builds).to.have.length(1);
    await store.verify(short);
  });

  it('is never put off so long that a header has more builds than a chain may', async () => {
    const chain = await generations.commitChain(3 * CHAIN_LENGTH_MAX, ['layer000']);
    const depths = chain.map((id) => generations.store.manifest(id).memory.builds.length);
    expect(Math.max(...depths)).to.equal(CHAIN_LENGTH_MAX);
    const last = chain.at(-1) ?? '';
    expect((await generations.read(last)).equals(generations.memory.content)).to.equal(true);
  });

  it('that failed is made up for by the next pause, which is not too deep then', async () => {
    const last = (await generations.commitChain(CHAIN_LENGTH_MAX)).at(-1) ?? '';
    const store = await generations.reopen({ files: snapshotFiles({ failAt: 1 }) });
    expect(await store.consolidate(last, async () => 'merged00').catch(() => 'failed')).to.equal(
      'failed',
    );
    generations.memory.write(20, 'after');

    const next = await generations.commit({ parent: last });

    expect(store.manifest(next).memory.builds).to.have.length(2);
    expect((await generations.read(next)).equals(generations.memory.content)).to.equal(true);
    await store.verify(next);
    await store.removeRef('sandbox', 'sandbox0');
    await store.collect();
    expect((await generations.present()).builds).to.deep.equal([]);
  });
});
