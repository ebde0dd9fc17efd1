import { expect } from 'chai';
import { eventually } from '../../test/support/eventually.js';
import { command, createOptions, FakeHost } from '../../test/support/fake-host.js';
import { readNote, writeNote } from '../../test/support/guest-note.js';

const { signal } = new AbortController();
const small = (options = {}) => createOptions({ memoryMb: 128, ...options });

describe('machines that stand ready', () => {
  let fake: FakeHost;

  beforeEach(async () => {
    fake = await FakeHost.open({
      warmTemplatesMax: 2,
      readyMachinesMax: 1,
      memoryMbMax: 1024,
    });
    await fake.manager.create(small(), signal);
    expect(await fake.manager.readyMachines()).to.equal(1);
  });

  afterEach(() => fake[Symbol.asyncDispose]());

  const create = (sandboxId: string, options = {}) =>
    fake.manager.create(small({ sandboxId, ...options }), signal);

  it('are claimed by a create, which starts no machine', async () => {
    const restores = fake.faults.timesReached('driver.restore');
    await create('another1', { env: { COLOUR: 'blue' } });
    expect(fake.faults.timesReached('driver.restore')).to.equal(restores);
    const { stdout } = await fake.manager.withGuest('another1', (guest) =>
      guest.exec(command('sh', '-c', 'hostname; env'), signal),
    );
    expect(stdout.toString()).to.include('another1').and.include('COLOUR=blue');
    expect(await fake.manager.readyMachines()).to.equal(1);
  });

  it('become sandboxes that pause, resume, restart and end like any other', async () => {
    await create('another1');
    await writeNote(fake, 'another1', 'kept');
    await fake.restart();
    expect(await readNote(fake, 'another1')).to.equal('kept');
    await fake.manager.pause('another1', 2);
    await fake.manager.resume('another1', 3, false);
    expect(await readNote(fake, 'another1')).to.equal('kept');
    for (const id of ['sandbox1', 'another1']) await fake.manager.destroy(id, 9);
    const { machines, entries, slots } = await fake.held();
    expect([machines, entries, slots].flat()).to.deep.equal([]);
  });

  it('are in no list, and gone after a restart', async () => {
    expect(fake.live().map(({ id }) => id)).to.deep.equal(['sandbox1']);
    await fake.restart();
    expect((await fake.held()).entries).to.deep.equal(['sandbox1']);
  });

  it('give way to sandboxes that need their memory', async () => {
    await create('another1', { memoryMb: 300 });
    await create('another2', { memoryMb: 300 });
    await create('another3', { memoryMb: 296 });
    expect(fake.live()).to.have.length(4);
  });

  it('are no condition: a sandbox is restored when the one that stood ready has ended', async () => {
    const [, ready] = fake.parts.driver.held();
    await fake.parts.driver.killVmm(ready ?? '');
    await create('another1');
    expect(fake.live().map(({ id }) => id)).to.include('another1');
  });

  it('are no condition: a sandbox is restored when a claim fails', async () => {
    fake.faults.failNext('driver.run');
    await create('another1');
    expect(fake.live().map(({ id }) => id)).to.include('another1');
  });

  it('do not outlive a change of shape', async () => {
    await create('another1', { memoryMb: 129 });
    await eventually(async () => expect(await fake.manager.readyMachines()).to.equal(1));
    const restores = fake.faults.timesReached('driver.restore');
    await create('another2', { memoryMb: 129 });
    expect(fake.faults.timesReached('driver.restore')).to.equal(restores);
  });
});
