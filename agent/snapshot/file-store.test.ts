import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { hasReason } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { Generations, MEMORY_BLOCKS } from '../../test/support/generations.js';
import { makeLegacy } from '../../test/support/legacy-generation.js';
import { snapshotFiles } from '../../test/support/snapshot-files.js';
import type { Hold } from './store.js';

describe('store of generations', () => {
  let generations: Generations;

  beforeEach(async () => {
    generations = await Generations.create();
  });

  afterEach(() => generations[Symbol.asyncDispose]());

  describe('written generations', () => {
    it('are found again with refs, manifests and memory after a restart', async () => {
      generations.memory.write(1, 'first').write(2, 'second');
      const id = await generations.commit({ layers: ['layer001'] });
      const manifest = generations.store.manifest(id);

      const store = await generations.reopen();

      expect(store.ref('sandbox', 'sandbox0')).to.include({ generationId: id, phase: 'paused' });
      expect(store.ref('sandbox', 'sandbox1')).to.equal(undefined);
      expect(store.refs('snapshot')).to.deep.equal([]);
      expect(store.manifest(id)).to.deep.equal(manifest);
      expect([...(store.layers() ?? [])]).to.deep.equal(['layer001']);
      expect((await generations.read(id)).equals(generations.memory.content)).to.equal(true);
      await store.check(id);
    });

    it('have what was written before the first, between the first and second, and after', async () => {
      const contents: [string, Buffer][] = [];
      let parent: string | undefined;
      for (let number = 0; number < 4; number += 1) {
        generations.memory.write(number, `${number}`).write(9, `again ${number}`);
        if (number === 2) generations.memory.write(0, '');
        parent = await generations.commit({
          name: `sandbox${number}`,
          ...(parent && { parent }),
        });
        contents.push([parent, Buffer.from(generations.memory.content)]);
      }
      for (const [id, content] of contents) {
        expect((await generations.read(id)).equals(content)).to.equal(true);
      }
    });

    it('without a change need no file of memory', async () => {
      const parent = await generations.commit();
      generations.memory.write(1, 'x');
      const changed = await generations.commit({ parent });
      const same = await generations.commit({ parent: changed });

      expect((await generations.present()).builds).to.deep.equal([changed]);
      expect((await generations.read(same)).equals(generations.memory.content)).to.equal(true);
      expect(generations.store.manifest(same).lineage.map(({ id }) => id)).to.deep.equal([
        parent,
        changed,
        same,
      ]);
    });

    it('are durable file by file, then folder by folder, before a ref names them', async () => {
      const files = snapshotFiles();
      await generations.reopen({ files });
      generations.memory.write(1, 'x');

      const id = await generations.commit();

      const at = (operation: string, path: string) => {
        const index = files.done.findIndex(
          (line) => line.startsWith(`${operation} `) && line.includes(path),
        );
        expect(index, `${operation} ${path}`).to.be.at.least(0);
        return index;
      };
      const fileSyncs = ['memory/memfile.', 'memfile.header', 'vmstate', 'manifest.json'].map(
        (name) => at('syncFile', name),
      );
      const folderSyncs = [`${generations.folder}/memory`, `generations/${id}`].map((name) =>
        at('syncFolder', name),
      );
      const ref = ['writeFile', 'syncFile', 'rename', 'syncFolder'].map((operation) =>
        at(operation, '/refs'),
      );
      expect(at('syncFile', 'manifest.json')).to.be.greaterThan(at('syncFile', 'vmstate'));
      expect(Math.max(...fileSyncs)).to.be.lessThan(Math.min(...folderSyncs));
      expect(files.done.lastIndexOf(`syncFolder ${generations.folder}/generations`)).to.be.within(
        Math.max(...folderSyncs),
        Math.min(...ref),
      );
      expect(ref).to.deep.equal([...ref].sort((one, other) => one - other));
    });

    it('take on the host what their blocks take, not what a guest sees', async () => {
      generations.memory.write(1, 'x');
      const id = await generations.commit();

      const sizeBytes = await generations.store.sizeBytes(id);

      expect(sizeBytes % 512).to.equal(0);
      expect(sizeBytes).to.be.within(4096, 8 * 4096);
      expect(generations.store.manifest(id).lineage.at(-1)?.memoryBytes).to.equal(sizeBytes);
    });

    it('keep the device state and memory from being written', async () => {
      generations.memory.write(1, 'x');
      const id = await generations.commit();
      const [memory = ''] = (await generations.store.memoryFiles(id)).paths;

      for (const path of [memory, generations.store.statePath(id)]) {
        expect((await stat(path)).mode & 0o777).to.equal(0o400);
      }
    });

    it('are refused under a name that is none, or is taken', async () => {
      const id = await generations.commit();
      for (const name of ['..', 'a/b', 'UPPERCASE', '']) {
        const error = await failureOf(generations.setRef(id, { name }));
        expect(hasReason(error, 'INVALID_REQUEST')).to.equal(true);
        expect(() => generations.store.ref('sandbox', name)).to.throw();
      }
      const taken = await failureOf(generations.store.begin(id));
      expect(hasReason(taken, 'SNAPSHOT_EXISTS')).to.equal(true);
      await generations.store.check(id);
    });
  });

  describe('collection', () => {
    it('removes what no ref names, and files of memory that no generation reads', async () => {
      const [first, second] = await commitTwo();
      const unnamed = await generations.write({ parent: second });
      await generations.store.abandon(unnamed.id);
      await generations.store.removeRef('sandbox', 'sandbox0');

      const report = await generations.store.collect();

      expect(report.generations.sort()).to.deep.equal([first, second].sort());
      expect(report.builds.sort()).to.deep.equal([first, second].sort());
      expect(await generations.present()).to.deep.equal({ refs: [], generations: [], builds: [] });
      expect([...(generations.store.layers() ?? ['unknown'])]).to.deep.equal([]);
    });

    it('keeps a file of memory as long as a later generation reads it', async () => {
      const [first, second] = await commitTwo();

      const report = await generations.store.collect();

      expect(report).to.deep.equal({ generations: [first], builds: [], failed: 0 });
      expect((await generations.read(second)).equals(generations.memory.content)).to.equal(true);
      await generations.store.verify(second);
    });

    it('keeps what is held until the last hold is released', async () => {
      const [first] = await commitTwo();
      const holds = [generations.store.hold(first), generations.store.hold(first)];

      for (const hold of holds) {
        expect((await generations.store.collect()).generations).to.deep.equal([]);
        hold.release();
        hold.release();
      }

      expect((await generations.store.collect()).generations).to.deep.equal([first]);
      expect(() => generations.store.hold(first)).to.throw();
    });

    it('keeps a draft, its parent and its layers until it is abandoned', async () => {
      const [first] = await commitTwo();
      const { id } = await generations.write({ parent: first, layers: ['layer001'] });

      expect((await generations.store.collect()).generations).to.deep.equal([]);
      expect([...(generations.store.layers() ?? [])]).to.deep.equal(['layer001']);

      await generations.store.abandon(id);
      await generations.store.abandon(id);
      expect(generations.store.has(id)).to.equal(false);
      expect([...(generations.store.layers() ?? ['unknown'])]).to.deep.equal([]);
      expect((await generations.store.collect()).generations).to.deep.equal([first]);
    });

    it('leaves an abandoned draft that a ref or a hold has', async () => {
      const named = await generations.write();
      await generations.setRef(named.id);
      const held = await generations.write();
      const hold: Hold = generations.store.hold(held.id);

      for (const { id } of [named, held]) await generations.store.abandon(id);

      await generations.store.collect();
      for (const { id } of [named, held]) await generations.store.check(id);
      hold.release();
    });

    it('is safe beside pauses that are going on', async () => {
      let collecting = true;
      const collector = (async () => {
        while (collecting) await generations.store.collect();
      })();
      let parent: string | undefined;
      for (let number = 0; number < 8; number += 1) {
        generations.memory.write(number, `${number}`);
        parent = await generations.commit(parent ? { parent } : {});
      }
      collecting = false;
      await collector;
      await generations.store.collect();

      expect((await generations.read(parent ?? '')).equals(generations.memory.content)).to.equal(
        true,
      );
      expect((await generations.present()).generations).to.deep.equal([parent]);
    });

    it('removes what a crash left of a draft and of a ref', async () => {
      const id = await generations.commit();
      await generations.write();
      await writeFile(join(generations.folder, 'refs', 'sandbox.abc.json.xyz.tmp'), '{');
      await writeFile(join(generations.folder, 'memory', `memfile.${randomId()}`), 'half');

      const store = await generations.reopen();
      await store.collect();

      const { refs, generations: left, builds } = await generations.present();
      expect({ refs: refs.length, left, builds }).to.deep.equal({
        refs: 1,
        left: [id],
        builds: [],
      });
    });

    it('removes nothing at all while a ref cannot be read', async () => {
      await commitTwo();
      await generations.commit({ kind: 'warm', name: 'ab'.repeat(32) });
      const path = join(generations.folder, 'refs', `warm.${'ab'.repeat(32)}.json`);
      await writeFile(path, '{ "format": "wrenn-ref", "version": 2 }');
      const store = await generations.reopen();
      const before = await generations.present();

      const report = await store.collect();

      expect(report).to.deep.equal({ generations: [], builds: [], failed: 0 });
      expect(store.layers()).to.equal(undefined);
      expect(await generations.present()).to.deep.equal(before);
      expect(() => store.ref('warm', 'ab'.repeat(32))).to.throw();

      await store.removeRef('warm', 'ab'.repeat(32));
      expect((await store.collect()).generations).to.have.length(2);
    });

    it('keeps all memory and layers while the manifest of a named generation cannot be read', async () => {
      const [first, second] = await commitTwo();
      await writeFile(join(generations.folder, 'generations', second, 'manifest.json'), '');
      const store = await generations.reopen();

      const report = await store.collect();

      expect(report).to.deep.equal({ generations: [first], builds: [], failed: 0 });
      expect(store.layers()).to.equal(undefined);
      expect((await generations.present()).builds.sort()).to.deep.equal([first, second].sort());
      const error = await failureOf(store.check(second));
      expect(hasReason(error, 'SNAPSHOT_DAMAGED')).to.equal(true);

      await store.removeRef('sandbox', 'sandbox0');
      await store.collect();
      expect(await generations.present()).to.deep.equal({ refs: [], generations: [], builds: [] });
    });

    it('tells of a removal that failed, and repeats it', async () => {
      await commitTwo();
      // The first operation of this store is the removal of the first generation.
      const store = await generations.reopen({ files: snapshotFiles({ failAt: 0 }) });

      expect(await store.collect()).to.include({ failed: 1 });
      expect((await store.collect()).generations).to.have.length(1);
    });
  });

  describe('a generation with a plain memory file', () => {
    let legacy: string;

    beforeEach(async () => {
      for (let block = 0; block < MEMORY_BLOCKS; block += 3) {
        generations.memory.write(block, `old ${block}`);
      }
      legacy = await generations.commit();
      await makeLegacy(generations.folder, generations.store.manifest(legacy));
      await generations.reopen();
    });

    it('is listed, checked and resumed', async () => {
      const { store } = generations;
      expect(store.has(legacy)).to.equal(true);
      expect(store.ref('sandbox', 'sandbox0')?.generationId).to.equal(legacy);
      await store.check(legacy);
      await store.verify(legacy);
      expect((await generations.read(legacy)).equals(generations.memory.content)).to.equal(true);
      expect(await store.sizeBytes(legacy)).to.be.at.least(4096);
    });

    it('becomes a template', async () => {
      await generations.setRef(legacy, { kind: 'snapshot', name: 'template0' });
      await generations.store.removeRef('sandbox', 'sandbox0');
      await generations.store.collect();

      await generations.store.check(legacy);
    });

    it('loses all but its memory when only later generations need it, then that', async () => {
      generations.memory.write(1, 'new');
      const child = await generations.commit({ parent: legacy });
      const folder = join(generations.folder, 'generations', legacy);

      expect((await generations.store.collect()).generations).to.deep.equal([legacy]);
      expect(await readdir(folder)).to.deep.equal(['memfile']);
      expect((await generations.store.collect()).generations).to.deep.equal([]);
      const store = await generations.reopen();
      await store.verify(child);
      expect((await generations.read(child)).equals(generations.memory.content)).to.equal(true);

      await store.removeRef('sandbox', 'sandbox0');
      await store.collect();
      expect((await generations.present()).generations).to.deep.equal([]);
    });
  });

  /** Two generations in a row, of which the second one is named. */
  async function commitTwo(): Promise<[string, string]> {
    generations.memory.write(1, 'one').write(2, 'two');
    const first = await generations.commit();
    generations.memory.write(2, 'three');
    return [first, await generations.commit({ parent: first })];
  }
});

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}
