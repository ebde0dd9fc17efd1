import { expect } from 'chai';
import { hasReason } from '../../lib/errors/index.js';
import { FaultPlan } from '../../lib/faults/fault-plan.js';
import { Generations } from '../../test/support/generations.js';
import { type SnapshotFilesPlan, snapshotFiles } from '../../test/support/snapshot-files.js';
import { CHAIN_LENGTH_MAX } from './generation.js';

/** A loop over the operations of a pause must end long before. */
const OPERATIONS_MAX = 200;

/** Each operation of a pause fails in turn, in a folder of its own. */
const LOOP_TIMEOUT_MS = 60_000;

describe('what a failure leaves of generations', function () {
  this.timeout(LOOP_TIMEOUT_MS);

  it('a disk that fills up at any write of a pause loses nothing', async () => {
    await forEachOperation({ code: 'ENOSPC' }, async (generations, { parent, plan }) => {
      const error = await failureOf(generations.commit({ parent }));
      if (!plan.hasFailed()) return;

      expect(hasReason(error, 'HOST_DISK_FULL')).to.equal(true);
      expect(generations.store.ref('sandbox', 'sandbox0')?.generationId).to.equal(parent);
      await generations.store.verify(parent);

      // The same machine, once there is room again.
      const again = await generations.commit({ parent });
      await requireOnly(generations, again);
    });
  });

  it('a disk that fails at any write of a pause, which nobody repeats, leaves the old generation', async () => {
    await forEachOperation({ code: 'EIO' }, async (generations, { parent, plan }) => {
      const error = await failureOf(generations.commit({ parent }));
      if (!plan.hasFailed()) return;

      expect(error).to.be.an('error');
      await generations.reopen();
      await requireOnly(generations, parent, 'parent');
    });
  });

  it('a crash after any write leaves the old or the new generation', async () => {
    const left = new Set<string>();
    await forEachOperation({ forever: true }, async (generations, { parent }) => {
      await generations.commit({ parent }).catch(() => undefined);

      const store = await generations.reopen();
      const named = store.ref('sandbox', 'sandbox0')?.generationId ?? '';
      left.add(named === parent ? 'old' : 'new');
      await requireOnly(generations, named, named === parent ? 'parent' : 'now');
    });
    expect([...left]).to.deep.equal(['old', 'new']);
  });

  it('a crash after any write of a first pause leaves nothing or all', async () => {
    for (let failAt = 0; ; failAt += 1) {
      await using generations = await Generations.create();
      const plan = snapshotFiles({ failAt, forever: true });
      await generations.reopen({ files: plan });
      generations.memory.write(1, 'now');
      await generations.commit().catch(() => undefined);

      const store = await generations.reopen();
      await store.collect();
      const named = store.ref('sandbox', 'sandbox0')?.generationId;
      if (named) await requireOnly(generations, named);
      else expect((await generations.present()).generations).to.deep.equal([]);
      if (!plan.hasFailed()) break;
      expect(failAt).to.be.below(OPERATIONS_MAX);
    }
  });

  it('a disk that fills up, or a crash, at any write of a consolidation leaves the chain', async () => {
    await using original = await Generations.create();
    const last = (await original.commitChain(CHAIN_LENGTH_MAX)).at(-1) ?? '';
    await original.store.collect();
    for (const forever of [false, true]) {
      for (let failAt = 0; ; failAt += 1) {
        await using generations = await original.copy();
        const plan = snapshotFiles({ failAt, code: 'ENOSPC', forever });
        const store = await generations.reopen({ files: plan });

        const error = await failureOf(store.consolidate(last, async () => 'merged00'));
        if (!plan.hasFailed()) break;

        expect(hasReason(error, 'HOST_DISK_FULL')).to.equal(true);
        await generations.reopen();
        await requireOnly(generations, last);
        expect(failAt).to.be.below(OPERATIONS_MAX);
      }
    }
  });

  it('a ref that could be neither written nor put back keeps both generations until it is', async () => {
    await using generations = await Generations.create();
    const parent = await generations.commit();
    generations.memory.write(1, 'now');
    const { id } = await generations.write({ parent });
    // After the rename of a ref only its folder is left to be synced.
    const files = snapshotFiles({ failAt: 3, forever: true });
    const before = await generations.reopen({ files });
    await failureOf(generations.setRef(id));

    expect(before.ref('sandbox', 'sandbox0')?.generationId).to.equal(parent);
    await before.collect();

    expect((await generations.present()).generations.sort()).to.deep.equal([parent, id].sort());
    const after = await generations.reopen();
    await after.verify(after.ref('sandbox', 'sandbox0')?.generationId ?? '');
  });

  it('planned faults fail the step once, and leave nothing', async () => {
    for (const step of [
      'snapshot.begin',
      'snapshot.memory',
      'snapshot.seal',
      'snapshot.ref',
    ] as const) {
      await using generations = await Generations.create();
      const faults = new FaultPlan();
      const store = await generations.reopen({ faults });
      faults.failNext(step);

      const error = await failureOf(generations.commit());

      expect(error).to.have.property('name', 'InjectedFault');
      expect(faults.pending).to.deep.equal([]);
      expect((await generations.present()).generations).to.deep.equal([]);
      await store.check(await generations.commit());
    }
  });
});

interface Pause {
  parent: string;
  plan: ReturnType<typeof snapshotFiles>;
}

/** Runs a pause with each operation failing in turn, over a generation that was committed before. */
async function forEachOperation(
  plan: SnapshotFilesPlan,
  pause: (generations: Generations, pause: Pause) => Promise<void>,
): Promise<void> {
  for (let failAt = 0; ; failAt += 1) {
    await using generations = await Generations.create();
    generations.memory.write(1, 'parent').write(2, 'parent');
    const parent = await generations.commit();
    const files = snapshotFiles({ ...plan, failAt });
    await generations.reopen({ files });
    generations.memory.write(1, 'now').write(3, 'now');

    await pause(generations, { parent, plan: files });

    if (!files.hasFailed()) {
      expect(failAt).to.be.greaterThan(10);
      return;
    }
    expect(failAt).to.be.below(OPERATIONS_MAX);
  }
}

/** The generation is whole, has the memory that it should, and after a collection nothing else is there. */
async function requireOnly(generations: Generations, id: string, text = 'now'): Promise<void> {
  await generations.store.verify(id);
  const memory = await generations.read(id);
  expect(memory.includes(text)).to.equal(true);
  if (text === 'now') expect(memory.equals(generations.memory.content)).to.equal(true);
  await generations.store.collect();
  const present = await generations.present();
  expect(present.generations).to.deep.equal([id]);
  expect(present.refs).to.deep.equal(['sandbox.sandbox0.json']);
  const { builds } = generations.store.manifest(id).memory;
  expect(present.builds).to.deep.equal([...builds].sort());
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}
