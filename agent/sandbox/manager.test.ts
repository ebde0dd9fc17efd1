import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Code, type WrennError } from '../../lib/errors/index.js';
import { eventually } from '../../test/support/eventually.js';
import { command, createOptions, FakeHost, NOTHING_HELD } from '../../test/support/fake-host.js';
import { CALLS_PER_SANDBOX_MAX } from './sandbox.js';

const { signal } = new AbortController();
const failure = (error: WrennError) => ({ code: error.code, reason: error.reason });

describe('SandboxManager', () => {
  let fake: FakeHost;

  beforeEach(async () => {
    fake = await FakeHost.open({ memoryMbMax: 2048 });
  });

  afterEach(() => fake[Symbol.asyncDispose]());

  it('refuses an id in use and leaves the running sandbox alone', async () => {
    await fake.manager.create(createOptions(), signal);
    const before = await fake.held();
    const refused = await fake.manager.create(createOptions(), signal).catch(failure);
    expect(refused).to.deep.equal({ code: Code.ALREADY_EXISTS, reason: 'SANDBOX_EXISTS' });
    expect(await fake.held()).to.deep.equal(before);
    const { stdout } = await fake.manager.withGuest('sandbox1', (g) =>
      g.exec(command('echo', 'alive'), signal),
    );
    expect(stdout.toString()).to.equal('alive\n');
  });

  it('refuses ids and template names that could become paths', async () => {
    for (const name of [
      '../victim',
      'a/b/c/d/e/f',
      '..',
      'UPPERCASE',
      'a b c d e f',
      'seven77',
      '',
      'x\0yyyyyyy',
    ]) {
      const created = await fake.manager
        .create(createOptions({ sandboxId: name }), signal)
        .catch(failure);
      const destroyed = await fake.manager.destroy(name, 1).catch(failure);
      const invalid = { code: Code.INVALID_ARGUMENT, reason: 'INVALID_REQUEST' };
      expect([created, destroyed], JSON.stringify(name)).to.deep.equal([invalid, invalid]);
    }
    for (const template of ['../minimal', '.hidden', '-x', 'Minimal', '']) {
      const refused = await fake.manager.create(createOptions({ template }), signal).catch(failure);
      expect(refused, template).to.deep.equal({
        code: Code.INVALID_ARGUMENT,
        reason: 'INVALID_REQUEST',
      });
    }
    expect(await fake.held()).to.deep.equal(NOTHING_HELD);
  });

  it('refuses a template that it does not have', async () => {
    const refused = await fake.manager
      .create(createOptions({ template: 'other' }), signal)
      .catch(failure);
    expect(refused).to.deep.equal({ code: Code.NOT_FOUND, reason: 'TEMPLATE_NOT_FOUND' });
  });

  it('gives no more memory than it has, and gives it again when a sandbox is gone', async () => {
    const half = { memoryMb: 1024 };
    const results = await Promise.all(
      ['sandbox1', 'sandbox2', 'sandbox3'].map((sandboxId) =>
        fake.manager
          .create(createOptions({ sandboxId, ...half }), signal)
          .then(() => 'running', failure),
      ),
    );
    expect(results.filter((result) => result === 'running')).to.have.length(2);
    expect(results).to.deep.include({ code: Code.RESOURCE_EXHAUSTED, reason: 'HOST_EXHAUSTED' });
    await fake.manager.destroy('sandbox1', 1);
    await fake.manager.create(createOptions({ sandboxId: 'sandbox4', ...half }), signal);
  });

  it('lets delete win over a boot under way', async () => {
    fake.faults.delayNext('driver.boot', 60_000);
    const creating = fake.manager.create(createOptions(), signal).catch(failure);
    await eventually(() => expect(fake.faults.timesReached('driver.boot')).to.equal(1));
    await fake.manager.destroy('sandbox1', 1);
    expect(await creating).to.deep.equal({ code: Code.ABORTED, reason: 'SANDBOX_CONFLICT' });
    expect(await fake.held()).to.deep.equal(NOTHING_HELD);
  });

  it('does not let a create that comes late bring a deleted sandbox back', async () => {
    await fake.manager.destroy('sandbox1', 1);
    const refused = await fake.manager.create(createOptions(), signal).catch(failure);
    expect(refused).to.deep.equal({ code: Code.ABORTED, reason: 'STALE_GENERATION' });
    await fake.manager.create(createOptions({ generation: 2 }), signal);
  });

  it('refuses a destroy command of an older generation', async () => {
    await fake.manager.create(createOptions({ generation: 3 }), signal);
    const refused = await fake.manager.destroy('sandbox1', 2).catch(failure);
    expect(refused).to.deep.equal({ code: Code.ABORTED, reason: 'STALE_GENERATION' });
    expect(fake.manager.list()).to.have.length(1);
  });

  it('destroys twice without complaint, also side by side', async () => {
    await fake.manager.create(createOptions(), signal);
    await Promise.all([fake.manager.destroy('sandbox1', 1), fake.manager.destroy('sandbox1', 1)]);
    await fake.manager.destroy('sandbox1', 1);
    expect(await fake.held()).to.deep.equal(NOTHING_HELD);
  });

  it('notices within seconds that a VMM has died, frees all and remembers why', async () => {
    const sandbox = await fake.manager.create(createOptions(), signal);
    const seen = await fake.manager.changes.after(-1, signal);
    await fake.parts.driver.killVmm(sandbox.entry.runDirectory);
    await fake.manager.changes.after(seen, signal);
    await eventually(() => expect(sandbox.entry).not.to.have.property('slot'));
    expect(sandbox.entry.phase).to.equal('ended');
    expect(sandbox.endReason).to.equal('VMM_EXITED');
    expect(await fake.held()).to.deep.equal({ ...NOTHING_HELD, entries: ['sandbox1'] });
    const refused = await fake.manager.ping('sandbox1').catch(failure);
    expect(refused).to.deep.equal({ code: Code.FAILED_PRECONDITION, reason: 'SANDBOX_STATE' });
  });

  it('tells an end until it is acknowledged, also after a restart', async () => {
    const sandbox = await fake.manager.create(createOptions(), signal);
    await fake.parts.driver.killVmm(sandbox.entry.runDirectory);
    await eventually(() => expect(sandbox.entry.phase).to.equal('ended'));
    await fake.restart();
    expect(fake.live().map(({ endReason }) => endReason)).to.deep.equal(['VMM_EXITED']);
    await fake.manager.destroy('sandbox1', 1);
    await fake.restart();
    expect(fake.manager.list()).to.deep.equal([]);
  });

  it('ends an inactive sandbox, and not one in which a long command runs', async () => {
    await fake.manager.create(createOptions({ timeoutSec: 1 }), signal);
    await fake.manager.create(createOptions({ sandboxId: 'sandbox2', timeoutSec: 1 }), signal);
    const long = fake.manager.withGuest('sandbox2', (guest) =>
      guest.exec(command('sleep', '3'), signal),
    );
    const phases = () => Object.fromEntries(fake.live().map(({ id, entry }) => [id, entry.phase]));
    await eventually(() =>
      expect(phases()).to.deep.equal({ sandbox1: 'ended', sandbox2: 'running' }),
    );
    expect(fake.live().find(({ id }) => id === 'sandbox1')?.endReason).to.equal('SANDBOX_TIMEOUT');
    expect((await long).exitCode).to.equal(0);
  });

  it('ends a sandbox in time although another takes long to end', async () => {
    await fake.manager.create(createOptions({ timeoutSec: 1 }), signal);
    await fake.manager.create(createOptions({ sandboxId: 'sandbox2', timeoutSec: 2 }), signal);
    fake.faults.delayNext('driver.destroy', 8000);
    const freed = () => fake.live().find(({ id }) => id === 'sandbox2')?.entry;
    await eventually(() => expect(freed()).not.to.have.property('slot'), { timeoutMs: 6000 });
    expect(freed()?.phase).to.equal('ended');
  });

  it('says what went wrong in the guest, and does not call it a timeout', async () => {
    fake.faults.failNext('guest.post_init');
    const refused = await fake.manager.create(createOptions(), signal).catch(failure);
    expect(refused).to.deep.equal({ code: Code.UNAVAILABLE, reason: 'GUEST_UNREACHABLE' });
  });

  it('takes only so many calls into one sandbox at once', async () => {
    await fake.manager.create(createOptions(), signal);
    const calls = Array.from({ length: CALLS_PER_SANDBOX_MAX + 1 }, () =>
      fake.manager
        .withGuest('sandbox1', (guest) => guest.exec(command('sleep', '1'), signal))
        .then(() => 'done', failure),
    );
    const results = await Promise.all(calls);
    const refused = { code: Code.RESOURCE_EXHAUSTED, reason: 'OVERLOADED' };
    expect(results.filter((result) => result !== 'done')).to.deep.equal([refused]);
  });

  it('takes running sandboxes over after a restart', async () => {
    await fake.manager.create(createOptions(), signal);
    await fake.restart();
    expect(fake.manager.complete).to.equal(true);
    const { stdout } = await fake.manager.withGuest('sandbox1', (g) =>
      g.exec(command('echo', 'again'), signal),
    );
    expect(stdout.toString()).to.equal('again\n');
  });

  it('sweeps nothing when a ledger entry cannot be read', async () => {
    await fake.manager.create(createOptions(), signal);
    await writeFile(join(fake.host.ledger.directory, 'sandbox1.json'), '{"format":');
    await fake.restart();
    expect(fake.parts.driver.held()).to.have.length(1);
    expect(fake.parts.network.held()).to.have.length(1);
  });

  it('refuses new work while it closes, and leaves running machines alone', async () => {
    await fake.manager.create(createOptions(), signal);
    await fake.manager.close();
    const refused = await fake.manager
      .create(createOptions({ sandboxId: 'sandbox2' }), signal)
      .catch(failure);
    expect(refused).to.deep.equal({ code: Code.UNAVAILABLE, reason: 'SHUTTING_DOWN' });
    expect(fake.parts.driver.held()).to.have.length(1);
    await fake.restart();
  });
});
