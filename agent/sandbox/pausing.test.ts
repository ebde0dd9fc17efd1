import { chmod, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Code, type WrennError } from '../../lib/errors/index.js';
import { eventually } from '../../test/support/eventually.js';
import { command, createOptions, FakeHost, NOTHING_HELD } from '../../test/support/fake-host.js';
import { readDiskNote, readNote, writeNote } from '../../test/support/guest-note.js';

const { signal } = new AbortController();
const ID = 'sandbox1';
const failure = (error: WrennError) => ({ code: error.code, reason: error.reason });
const small = (options = {}) => createOptions({ memoryMb: 128, ...options });

describe('pausing and resuming', () => {
  let fake: FakeHost;

  beforeEach(async () => {
    fake = await FakeHost.open();
    await fake.manager.create(small({ env: { COLOUR: 'blue' } }), signal);
    await writeNote(fake, ID, 'first');
  });

  afterEach(() => fake[Symbol.asyncDispose]());

  async function run(...cmd: string[]): Promise<string> {
    const [program = '', ...args] = cmd;
    const { stdout } = await fake.manager.withGuest(ID, (guest) =>
      guest.exec(command(program, ...args), signal),
    );
    return stdout.toString().trim();
  }

  it('keeps memory and disk, and frees everything else', async () => {
    await fake.manager.pause(ID, 2);
    const { machines, slots, entries, runDirectories } = await fake.held();
    expect([machines, slots, entries, runDirectories].flat()).to.deep.equal([]);
    await fake.manager.resume(ID, 3, false);
    expect(await readNote(fake, ID)).to.equal('first');
    expect(await run('env')).to.include('COLOUR=blue');
    expect(await run('hostname')).to.equal(ID);
  });

  it('keeps what was written before, between and after any number of pauses', async () => {
    for (let round = 1; round <= 25; round += 1) {
      await writeNote(fake, ID, `round ${round}`);
      await fake.manager.pause(ID, round + 1);
      await fake.manager.resume(ID, round + 1, false);
      expect(await readNote(fake, ID)).to.equal(`round ${round}`);
    }
    const builds = (await fake.held()).memory ?? [];
    expect(builds.length).to.be.at.most(10);
  });

  it('gives all of two hundred resumes at once one machine and one answer', async () => {
    await fake.manager.pause(ID, 2);
    const restores = fake.faults.timesReached('driver.restore');
    const answers = await Promise.all(
      Array.from({ length: 200 }, () => fake.manager.resume(ID, 3, false)),
    );
    expect(new Set(answers.map(({ sandbox }) => sandbox)).size).to.equal(1);
    expect(fake.faults.timesReached('driver.restore') - restores).to.equal(1);
    expect(await readNote(fake, ID)).to.equal('first');
  });

  it('lets delete win over a resume under way', async () => {
    await fake.manager.pause(ID, 2);
    fake.faults.delayNext('driver.restore', 60_000);
    const resuming = fake.manager.resume(ID, 3, false).catch(failure);
    await eventually(() => expect(fake.faults.timesReached('driver.restore')).to.equal(1));
    await fake.manager.destroy(ID, 4);
    expect(await resuming).to.deep.equal({ code: Code.ABORTED, reason: 'SANDBOX_CONFLICT' });
    expect(fake.manager.list()).to.deep.equal([]);
    expect(await fake.held()).to.deep.equal(NOTHING_HELD);
  });

  it('keeps a sandbox whose timeout passes while it is paused by its user', async () => {
    await fake.manager.setTimeout(ID, { timeoutSec: 1, pauseOnTimeout: false });
    fake.faults.delayNext('driver.save_state', 2500);
    await fake.manager.pause(ID, 2);
    expect(fake.paused().map(({ sandboxId }) => sandboxId)).to.deep.equal([ID]);
    await fake.manager.resume(ID, 3, false);
    expect(await readNote(fake, ID)).to.equal('first');
  });

  it('answers two pauses at once by one', async () => {
    const saves = fake.faults.timesReached('driver.save_state');
    const [one, other] = await Promise.all([fake.manager.pause(ID, 2), fake.manager.pause(ID, 2)]);
    expect(one.generationId).to.equal(other.generationId);
    expect(fake.faults.timesReached('driver.save_state') - saves).to.equal(1);
  });

  it('tells of a pause at the timeout as often as it is asked, also after a restart', async () => {
    await fake.manager.setTimeout(ID, { timeoutSec: 1, pauseOnTimeout: true });
    await eventually(() => expect(fake.paused()).to.have.length(1));
    const reasons = () => fake.paused().map(({ pauseReason }) => pauseReason);
    expect([reasons(), reasons()]).to.deep.equal([['SANDBOX_TIMEOUT'], ['SANDBOX_TIMEOUT']]);
    await fake.restart();
    expect(reasons()).to.deep.equal(['SANDBOX_TIMEOUT']);
    await fake.manager.resume(ID, 2, false);
    expect(await readNote(fake, ID)).to.equal('first');
  });

  it('says that a paused sandbox is paused to whoever wants to use it', async () => {
    await fake.manager.pause(ID, 2);
    const refused = await fake.manager.ping(ID).catch((error: WrennError) => error);
    expect(refused).to.include({ code: Code.FAILED_PRECONDITION, reason: 'SANDBOX_STATE' });
    expect((refused as WrennError).metadata).to.include({ state: 'PAUSED' });
    const again = await fake.manager.create(small({ generation: 9 }), signal).catch(failure);
    expect(again).to.deep.equal({ code: Code.ALREADY_EXISTS, reason: 'SANDBOX_EXISTS' });
  });

  it('gives a fresh token with each resume', async () => {
    const before = fake.live()[0]?.entry.guestToken;
    await fake.manager.pause(ID, 2);
    await fake.manager.resume(ID, 3, false);
    expect(fake.live()[0]?.entry.guestToken).to.be.a('string').and.not.equal(before);
  });

  it('never puts a disk that was written on under older memory', async () => {
    await fake.manager.pause(ID, 2);
    fake.faults.failNext('guest.post_restore');
    expect(await fake.manager.resume(ID, 3, false).catch(failure)).to.have.property('reason');
    expect((await fake.held()).disks).to.have.length(1);
    await fake.manager.resume(ID, 3, false);
    expect(await readNote(fake, ID)).to.equal('first');
  });

  it('does not restore a snapshot of another kind of machine, and says what differs', async () => {
    await fake.manager.pause(ID, 2);
    const { kind } = fake.host.driver;
    fake.host.driver.kind = async () => ({ ...(await kind.call(fake.host.driver)), cpuModel: 'x' });
    const refused = await fake.manager.resume(ID, 3, false).catch((error: WrennError) => error);
    expect(refused).to.include({ reason: 'SNAPSHOT_INCOMPATIBLE' });
    expect((refused as WrennError).metadata).to.include({ wanted: 'fake', present: 'x' });
    await fake.manager.resume(ID, 3, true);
    expect(await readDiskNote(fake, ID)).to.equal('first');
  });

  it('refuses a damaged snapshot by name, keeps it paused, and boots it from its disk', async () => {
    const { generationId } = await fake.manager.pause(ID, 2);
    const folder = fake.host.snapshots.folder;
    await writeFile(join(folder, 'generations', generationId, 'vmstate'), 'damaged');
    const damaged = { code: Code.DATA_LOSS, reason: 'SNAPSHOT_DAMAGED' };
    expect(await fake.manager.verifyGeneration(ID).catch(failure)).to.deep.equal(damaged);
    const refused = await fake.manager.resume(ID, 3, false).catch((error: WrennError) => error);
    expect(failure(refused as WrennError)).to.deep.equal(damaged);
    expect((refused as WrennError).metadata).to.include({ artifact: 'vmstate' });
    expect(fake.paused()).to.have.length(1);
    await fake.manager.resume(ID, 4, true);
    expect(await readDiskNote(fake, ID)).to.equal('first');
    expect(await run('env')).to.include('COLOUR=blue');
    await fake.manager.destroy(ID, 5);
    expect(await fake.held()).to.deep.equal(NOTHING_HELD);
  });

  it('never runs a machine on memory of which one bit is wrong', async () => {
    await fake.manager.pause(ID, 2);
    const folder = join(fake.host.snapshots.folder, 'memory');
    const [build = ''] = await readdir(folder);
    await flipBit(join(folder, build));
    const refused = await fake.manager.resume(ID, 3, false).catch((error: WrennError) => error);
    expect(refused).to.include({ code: Code.DATA_LOSS, reason: 'SNAPSHOT_DAMAGED' });
    expect((refused as WrennError).metadata).to.include({ artifact: build });
    expect(fake.paused()).to.have.length(1);
    await fake.manager.resume(ID, 4, true);
    expect(await readDiskNote(fake, ID)).to.equal('first');
  });

  it('lets a guest go on whose disk was full, when there is room again', async () => {
    const [sandbox] = fake.live();
    await fake.parts.driver.diskFull(sandbox?.entry.runDirectory ?? '');
    expect(sandbox?.isDiskFull).to.equal(true);
    const refused = await fake.manager
      .withGuest(ID, (guest) => guest.exec(command('true'), signal))
      .catch(failure);
    expect(refused).to.deep.equal({ code: Code.RESOURCE_EXHAUSTED, reason: 'DISK_FULL' });
    await eventually(async () => expect(await readNote(fake, ID)).to.equal('first'));
  });

  it('changes the timeout of a paused sandbox', async () => {
    await fake.manager.pause(ID, 2);
    await fake.manager.setTimeout(ID, { timeoutSec: 77, pauseOnTimeout: true });
    expect(fake.paused()[0]).to.include({ timeoutSec: 77, pauseOnTimeout: true });
    await fake.manager.resume(ID, 3, false);
    expect(fake.live()[0]?.entry).to.include({ timeoutSec: 77, pauseOnTimeout: true });
  });
});

/** Flips a bit of the first byte that is not zero. */
async function flipBit(path: string): Promise<void> {
  const content = await readFile(path);
  const at = content.findIndex((byte) => byte !== 0);
  await chmod(path, 0o600);
  await using file = await open(path, 'r+');
  await file.write(Buffer.of((content[at] ?? 0) ^ 1), 0, 1, at);
}
