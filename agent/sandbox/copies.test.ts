import { truncate } from 'node:fs/promises';
import { expect } from 'chai';
import { Code, type WrennError } from '../../lib/errors/index.js';
import { command, createOptions, FakeHost, NOTHING_HELD } from '../../test/support/fake-host.js';
import { readNote, writeNote } from '../../test/support/guest-note.js';
import { makeLegacy } from '../../test/support/legacy-generation.js';
import { LIVE_LAYERS_MAX } from './capture.js';

const { signal } = new AbortController();
const ID = 'sandbox1';
const SNAPSHOT = { sandboxId: ID, snapshotId: 'snapshot1', name: 'mine' };
const failure = (error: WrennError) => ({ code: error.code, reason: error.reason });
const small = (options = {}) => createOptions({ memoryMb: 128, ...options });

async function identity(fake: FakeHost, id: string): Promise<string[]> {
  const print = async (program: string, ...args: string[]) => {
    const { stdout } = await fake.manager.withGuest(id, (guest) =>
      guest.exec(command(program, ...args), signal),
    );
    return stdout.toString().trim();
  };
  return [await print('hostname'), await print('cat', '/etc/machine-id')];
}

describe('snapshots and copies of sandboxes', () => {
  let fake: FakeHost;

  beforeEach(async () => {
    fake = await FakeHost.open();
    await fake.manager.create(small(), signal);
    await writeNote(fake, ID, 'origin');
  });

  afterEach(() => fake[Symbol.asyncDispose]());

  it('starts a hundred copies from one generation, which go their own ways', async () => {
    const ids = Array.from({ length: 100 }, (_, index) => `copy${index}`.padEnd(8, 'x'));
    const results = await fake.manager.fork(ID, ids, signal);
    expect(results.map(({ kind }) => kind)).to.deep.equal(ids.map(() => 'sandbox'));
    const serving = new Set(fake.live().map(({ entry }) => entry.servingGenerationId));
    serving.delete(undefined);
    expect(serving.size).to.equal(1);
    const tokens = new Set(fake.live().map(({ entry }) => entry.guestToken));
    expect(tokens.size).to.equal(101);
    await writeNote(fake, ids[0] ?? '', 'other');
    expect(await readNote(fake, ids[1] ?? '')).to.equal('origin');
    await writeNote(fake, ID, 'goes on');
    expect(await readNote(fake, ids[2] ?? '')).to.equal('origin');
  }).timeout(120_000);

  it('tells for each copy what became of it', async () => {
    fake.faults.failNext('network.acquire');
    const results = await fake.manager.fork(ID, ['copyaaaa', 'copybbbb', ID], signal);
    const failed = results.filter(({ kind }) => kind === 'error');
    expect(failed).to.have.length(2);
    const reasons = failed.map((result) => result.kind === 'error' && result.error.reason);
    expect(reasons).to.include('SANDBOX_EXISTS');
  });

  it('copies a paused sandbox, which stays paused', async () => {
    await fake.manager.pause(ID, 2);
    await fake.manager.fork(ID, ['copyaaaa'], signal);
    expect(await readNote(fake, 'copyaaaa')).to.equal('origin');
    expect(fake.paused().map(({ sandboxId }) => sandboxId)).to.deep.equal([ID]);
  });

  it('starts sandboxes from a snapshot, each with a name and machine id of its own', async () => {
    const info = await fake.manager.createSnapshot(SNAPSHOT);
    expect(info).to.include({ snapshotId: 'snapshot1', vcpus: 1, memoryMb: 128 });
    expect(info.sizeBytes).to.be.greaterThan(0);
    await writeNote(fake, ID, 'later');
    for (const sandboxId of ['copyaaaa', 'copybbbb']) {
      await fake.manager.create(small({ sandboxId, snapshotId: 'snapshot1' }), signal);
      expect(await readNote(fake, sandboxId)).to.equal('origin');
    }
    const identities = await Promise.all(
      [ID, 'copyaaaa', 'copybbbb'].map((id) => identity(fake, id)),
    );
    expect(new Set(identities.flat()).size).to.equal(6);
  });

  it('refuses other vcpus or memory than those of the snapshot', async () => {
    await fake.manager.createSnapshot(SNAPSHOT);
    for (const shape of [{ memoryMb: 256 }, { vcpus: 2 }]) {
      const options = small({ sandboxId: 'copyaaaa', snapshotId: 'snapshot1', ...shape });
      const refused = await fake.manager.create(options, signal).catch(failure);
      expect(refused).to.deep.equal({ code: Code.INVALID_ARGUMENT, reason: 'SNAPSHOT_SHAPE' });
    }
  });

  it('refuses ids and names that could become paths', async () => {
    const invalid = { code: Code.INVALID_ARGUMENT, reason: 'INVALID_REQUEST' };
    for (const bad of [{ name: '../minimal' }, { snapshotId: '../victim' }, { name: '' }]) {
      const refused = await fake.manager.createSnapshot({ ...SNAPSHOT, ...bad }).catch(failure);
      expect(refused, JSON.stringify(bad)).to.deep.equal(invalid);
    }
    expect(await fake.manager.deleteSnapshot('../victim').catch(failure)).to.deep.equal(invalid);
  });

  it('keeps what sandboxes need of a snapshot that is deleted', async () => {
    await fake.manager.createSnapshot(SNAPSHOT);
    await fake.manager.create(small({ sandboxId: 'copyaaaa', snapshotId: 'snapshot1' }), signal);
    await fake.manager.deleteSnapshot('snapshot1');
    await fake.manager.deleteSnapshot('snapshot1');
    await fake.manager.settled();
    await fake.manager.pause('copyaaaa', 2);
    await fake.restart();
    await fake.manager.resume('copyaaaa', 3, false);
    expect(await readNote(fake, 'copyaaaa')).to.equal('origin');
    for (const id of [ID, 'copyaaaa']) await fake.manager.destroy(id, 9);
    expect(await fake.held()).to.deep.equal(NOTHING_HELD);
  });

  it('resumes a generation with one plain memory file, and makes a template of it', async () => {
    const { generationId } = await fake.manager.pause(ID, 2);
    const { folder } = fake.host.snapshots;
    await makeLegacy(folder, fake.host.snapshots.manifest(generationId));
    await fake.restart();
    expect(fake.paused().map(({ sandboxId }) => sandboxId)).to.deep.equal([ID]);
    await fake.manager.createSnapshot(SNAPSHOT);
    await fake.manager.resume(ID, 3, false);
    expect(await readNote(fake, ID)).to.equal('origin');
    await writeNote(fake, ID, 'later');
    await fake.manager.pause(ID, 4);
    await fake.manager.resume(ID, 5, false);
    expect(await readNote(fake, ID)).to.equal('later');
    await fake.manager.create(small({ sandboxId: 'copyaaaa', snapshotId: 'snapshot1' }), signal);
    expect(await readNote(fake, 'copyaaaa')).to.equal('origin');
    await fake.manager.deleteSnapshot('snapshot1');
    for (const id of [ID, 'copyaaaa']) await fake.manager.destroy(id, 9);
    expect(await fake.held()).to.deep.equal(NOTHING_HELD);
  });

  it('says what to do when a running sandbox has been snapshotted too often', async () => {
    const [sandbox] = fake.live();
    const layers = Array.from({ length: LIVE_LAYERS_MAX }, (_, index) => `layer${index}`);
    if (sandbox?.entry.rootfs) sandbox.entry.rootfs.layers = layers;
    const refused = await fake.manager.createSnapshot(SNAPSHOT).catch(failure);
    expect(refused).to.deep.equal({ code: Code.FAILED_PRECONDITION, reason: 'PAUSE_FAILED' });
    expect(await readNote(fake, ID)).to.equal('origin');
  });

  it('snapshots one running sandbox many times over, through merges of its chain', async () => {
    for (let round = 1; round <= 25; round += 1) {
      await writeNote(fake, ID, `round ${round}`);
      await fake.manager.createSnapshot({ ...SNAPSHOT, snapshotId: `snapshot${round}` });
    }
    for (const round of [1, 9, 10, 11, 25]) {
      const options = small({ sandboxId: `copy${round}xxxx`, snapshotId: `snapshot${round}` });
      await fake.manager.create(options, signal);
      expect(await readNote(fake, options.sandboxId)).to.equal(`round ${round}`);
    }
  }).timeout(120_000);
});

describe('warm templates', () => {
  it('are made once for all who ask at the same time, and restored from then on', async () => {
    await using fake = await FakeHost.open({ warmTemplatesMax: 2 });
    const ids = Array.from({ length: 20 }, (_, index) => `many${index}`.padEnd(8, 'x'));
    await Promise.all(ids.map((sandboxId) => fake.manager.create(small({ sandboxId }), signal)));
    expect(fake.faults.timesReached('driver.boot')).to.equal(1);
    expect(fake.faults.timesReached('driver.restore')).to.equal(20);
    const identities = await Promise.all(ids.map((id) => identity(fake, id)));
    expect(new Set(identities.flat()).size).to.equal(40);
    expect(fake.live()).to.have.length(20);
  });

  it('are kept over a restart, and used again', async () => {
    await using fake = await FakeHost.open({ warmTemplatesMax: 2 });
    await fake.manager.create(small(), signal);
    await fake.restart();
    await fake.manager.create(small({ sandboxId: 'another1' }), signal);
    expect(fake.faults.timesReached('driver.boot')).to.equal(1);
  });

  it('give way to those that were used later when there are too many', async () => {
    await using fake = await FakeHost.open({ warmTemplatesMax: 2 });
    for (const memoryMb of [128, 129, 130]) {
      await fake.manager.create(small({ sandboxId: `size${memoryMb}x`, memoryMb }), signal);
    }
    await fake.manager.settled();
    expect(fake.host.snapshots.refs('warm')).to.have.length(2);
  });

  it('are no condition: a sandbox is booted when none can be made', async () => {
    await using fake = await FakeHost.open({ warmTemplatesMax: 2 });
    fake.faults.failNext('driver.save_state');
    await fake.manager.create(small(), signal);
    expect(fake.live()).to.have.length(1);
    expect(fake.host.snapshots.refs('warm')).to.deep.equal([]);
  });

  it('are no condition: a sandbox is booted when the one that there is has been damaged', async () => {
    await using fake = await FakeHost.open({ warmTemplatesMax: 2 });
    await fake.manager.create(small(), signal);
    const [warm] = fake.host.snapshots.refs('warm');
    await truncate(fake.host.snapshots.statePath(warm?.generationId ?? ''), 1);
    await fake.manager.create(small({ sandboxId: 'another1' }), signal);
    expect(fake.faults.timesReached('driver.boot')).to.equal(2);
    await fake.manager.create(small({ sandboxId: 'another2' }), signal);
    expect(fake.faults.timesReached('driver.boot')).to.equal(3);
  });

  it('are made anew when one cannot be restored', async () => {
    await using fake = await FakeHost.open({ warmTemplatesMax: 2 });
    await fake.manager.create(small(), signal);
    fake.faults.failNext('driver.restore');
    const refused = await fake.manager
      .create(small({ sandboxId: 'another1' }), signal)
      .catch(failure);
    expect(refused).to.have.property('reason', 'VMM_FAILED');
    await fake.manager.create(small({ sandboxId: 'another1', generation: 2 }), signal);
    expect(fake.faults.timesReached('driver.boot')).to.equal(2);
  });
});
