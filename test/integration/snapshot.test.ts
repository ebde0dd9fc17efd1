/** Snapshots: who sees them, what is started from them, and what holds them. */
import { expect } from 'chai';
import { SandboxState } from '../../gen/ts/wrenn/v1/sandbox.js';
import { SnapshotType } from '../../gen/ts/wrenn/v1/snapshot.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { useControlPlane } from '../support/control-plane.js';
import { eventually } from '../support/eventually.js';
import { SNAPSHOT_BYTES } from '../support/fake-host-agent.js';
import { gate } from '../support/gate.js';
import { reasonOf, rejectionOf } from '../support/rejection.js';
import { SandboxCalls } from '../support/sandbox-calls.js';

const TEAM_SNAPSHOTS_MAX = 5;
const RACES = 20;

describe('snapshots', () => {
  const test = useControlPlane({
    environment: {
      WRENN_RECONCILE_INTERVAL_MS: '100',
      WRENN_TEAM_SNAPSHOTS_MAX: `${TEAM_SNAPSHOTS_MAX}`,
    },
  });
  let team: SandboxCalls;
  let strangers: SandboxCalls;
  beforeEach(async () => {
    team = new SandboxCalls(() => test.clients, await test.signUp());
    strangers = new SandboxCalls(() => test.clients, await test.signUp());
  });
  afterEach(() => test.agent.reset());

  it('are made, shown, listed with the templates of the platform, started from and deleted', async () => {
    const { sandboxId } = await team.create({ vcpus: 2, memoryMb: 256 });
    const made = await team.snapshot(sandboxId, 'golden');
    expect(made).to.include({
      ...{ name: 'golden', type: SnapshotType.SNAPSHOT_TYPE_SNAPSHOT, sandboxId },
      ...{ vcpus: 2, memoryMb: 256, sizeBytes: SNAPSHOT_BYTES },
    });
    expect(await team.getSnapshot(made.snapshotId)).to.deep.equal(made);
    const [newest, base, ...others] = await team.listSnapshots();
    expect([newest, others]).to.deep.equal([made, []]);
    expect(base).to.include({ name: 'minimal', type: SnapshotType.SNAPSHOT_TYPE_BASE, vcpus: 0 });

    const child = await team.create({ template: 'golden' });
    expect(child).to.include({ template: 'golden', vcpus: 2, memoryMb: 256 });
    expect(test.agent.created.at(-1)).to.include({
      ...{ snapshotId: made.snapshotId, template: 'golden', vcpus: 2, memoryMb: 256 },
    });

    await team.remove(child.sandboxId);
    await team.removeSnapshot(made.snapshotId);
    expect(test.agent.snapshots.size).to.equal(0);
    expect(await reasonOf(team.getSnapshot(made.snapshotId))).to.equal('SNAPSHOT_NOT_FOUND');
    expect(await reasonOf(team.removeSnapshot(made.snapshotId))).to.equal('SNAPSHOT_NOT_FOUND');
    expect(await reasonOf(team.create({ template: 'golden' }))).to.equal('TEMPLATE_NOT_FOUND');
  });

  it('are made of paused sandboxes, too, under a name of their own when none is given', async () => {
    const { sandboxId } = await team.create();
    await team.pause(sandboxId);
    const [one, two] = [await team.snapshot(sandboxId), await team.snapshot(sandboxId)];
    expect(one.name).to.match(/^snapshot-\d{8}-\d{6}-[a-z0-9]{6}$/);
    expect(two.name).to.not.equal(one.name);
    await team.create({ template: one.name });
  });

  it('are never read by another team that knows their name or id', async () => {
    const { snapshotId } = await made('secret');
    const wish = { template: 'secret' };
    expect(await reasonOf(strangers.create(wish))).to.equal('TEMPLATE_NOT_FOUND');
    expect(await reasonOf(strangers.getSnapshot(snapshotId))).to.equal('SNAPSHOT_NOT_FOUND');
    expect(await reasonOf(strangers.removeSnapshot(snapshotId))).to.equal('SNAPSHOT_NOT_FOUND');
    const names = (await strangers.listSnapshots()).map(({ name }) => name);
    expect(names).to.deep.equal(['minimal']);
    expect(test.agent.created.filter((request) => request.snapshotId)).to.deep.equal([]);
  });

  it('of two teams may share a name, and each team gets its own', async () => {
    const mine = await made('same');
    const { sandboxId } = await strangers.create();
    const theirs = await strangers.snapshot(sandboxId, 'same');
    await team.create({ template: 'same' });
    await strangers.create({ template: 'same' });
    const [first, second] = test.agent.created.slice(-2).map((request) => request.snapshotId);
    expect([first, second]).to.deep.equal([mine.snapshotId, theirs.snapshotId]);
  });

  it('never replace a template of the platform by taking its name', async () => {
    const { sandboxId } = await strangers.create();
    const error = await rejectionOf(strangers.snapshot(sandboxId, 'minimal'));
    expect([error.code, error.reason]).to.deep.equal([Code.ALREADY_EXISTS, 'SNAPSHOT_EXISTS']);
    expect(test.agent.snapshots.size).to.equal(0);
    await team.create({ template: 'minimal' });
    expect(test.agent.created.at(-1)).to.include({ template: 'minimal', snapshotId: '' });
  });

  it('that bear the name of a template which the platform gets later replace it for nobody else', async () => {
    const { snapshotId } = await made('later');
    const { host } = test.agent.script;
    test.agent.script.host = { ...host, templates: ['minimal', 'later'] };
    await eventually(() => strangers.create({ template: 'later' }));
    expect(test.agent.created.at(-1)?.snapshotId).to.equal('');
    await team.create({ template: 'later' });
    expect(test.agent.created.at(-1)?.snapshotId).to.equal(snapshotId);
  });

  it('have one owner of a name in a team, however many want it at once', async () => {
    const { sandboxId } = await team.create();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, () => team.snapshot(sandboxId, 'wanted')),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.length(1);
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    const reasons = new Set(refused.map(({ reason }) => reason.reason));
    expect(reasons).to.deep.equal(new Set(['SNAPSHOT_EXISTS']));
    expect(test.agent.snapshots.size).to.equal(1);
  });

  it('never exceed the limit of a team', async () => {
    const { sandboxId } = await team.create();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 2 * TEAM_SNAPSHOTS_MAX }, () => team.snapshot(sandboxId)),
    );
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused).to.have.length(TEAM_SNAPSHOTS_MAX);
    expect(new Set(refused.map(({ reason }) => reason.reason))).to.deep.equal(
      new Set(['SNAPSHOT_LIMIT']),
    );
  });

  it('start sandboxes of their own size only', async () => {
    const { sandboxId } = await team.create({ vcpus: 2, memoryMb: 256 });
    await team.snapshot(sandboxId, 'sized');
    for (const wish of [{ vcpus: 1 }, { memoryMb: 512 }]) {
      const error = await rejectionOf(team.create({ template: 'sized', ...wish }));
      expect([error.code, error.reason]).to.deep.equal([Code.INVALID_ARGUMENT, 'SNAPSHOT_SHAPE']);
      expect(error.metadata).to.include({ vcpus: '2', memory_mb: '256' });
    }
    await team.create({ template: 'sized', vcpus: 2, memoryMb: 256 });
  });

  it('are held by what was started from them, in whatever state, and by copies of it', async () => {
    const { snapshotId } = await made('held');
    const child = await team.create({ template: 'held' });
    await team.pause(child.sandboxId);
    const { results } = await team.fork(child.sandboxId, 1);
    const copy = results[0]?.result;
    const copyId = copy?.$case === 'sandbox' ? copy.value.sandboxId : '';
    expect(await heldBy(snapshotId)).to.equal('2');
    await team.remove(child.sandboxId);
    expect(await heldBy(snapshotId)).to.equal('1');
    await team.remove(copyId);
    await team.removeSnapshot(snapshotId);
  });

  it(`never leave a sandbox without its snapshot when a delete meets a create, ${RACES} times`, async function () {
    this.timeout(60_000);
    const outcomes = new Set<string>();
    for (let race = 0; race < RACES; race += 1) {
      const { snapshotId } = await made('raced');
      const [created, removed] = await Promise.allSettled([
        team.create({ template: 'raced' }),
        team.removeSnapshot(snapshotId),
      ]);
      const outcome = [created, removed].map((one) =>
        one.status === 'fulfilled' ? 'done' : one.reason.reason,
      );
      outcomes.add(outcome.join(' '));
      if (created.status === 'rejected') continue;
      expect(test.agent.snapshots.has(snapshotId)).to.equal(true);
      await team.remove(created.value.sandboxId);
      await team.removeSnapshot(snapshotId);
    }
    expect([...outcomes]).to.satisfy((seen: string[]) =>
      seen.every((one) => ['done SNAPSHOT_IN_USE', 'TEMPLATE_NOT_FOUND done'].includes(one)),
    );
  });

  it('go on when their caller goes away, who finds them in the list', async () => {
    const { sandboxId } = await team.create();
    const { opened, open } = gate();
    const caller = new AbortController();
    test.agent.script.beforeSnapshot = async () => {
      caller.abort();
      await opened;
    };
    await rejectionOf(team.snapshot(sandboxId, 'kept', caller.signal));
    open();
    await eventually(() => team.create({ template: 'kept' }));
    expect((await team.listSnapshots()).map(({ name }) => name)).to.include('kept');
  });

  it('are seen by nobody before they are whole', async () => {
    const { sandboxId } = await team.create();
    const { opened, open } = gate();
    let asked = false;
    test.agent.script.beforeSnapshot = async () => {
      asked = true;
      await opened;
    };
    const call = team.snapshot(sandboxId, 'slow');
    await eventually(() => expect(asked).to.equal(true));
    expect((await team.listSnapshots()).map(({ name }) => name)).to.not.include('slow');
    expect(await reasonOf(team.create({ template: 'slow' }))).to.equal('TEMPLATE_NOT_FOUND');
    open();
    await call;
    await team.create({ template: 'slow' });
  });

  it('leave nothing behind when they fail, and their name is free again', async () => {
    const { sandboxId } = await team.create();
    test.agent.script.beforeSnapshot = async () => {
      throw new WrennError(Code.UNKNOWN, 'HOST_DISK_FULL', 'agent text');
    };
    expect(await reasonOf(team.snapshot(sandboxId, 'again'))).to.equal('HOST_DISK_FULL');
    await team.exec(sandboxId);
    test.agent.script.beforeSnapshot = async () => undefined;
    await team.snapshot(sandboxId, 'again');
  });

  it('whose delete the host did not answer are gone for all, and at last on the host', async () => {
    const { snapshotId } = await made('going');
    test.agent.script.beforeDeleteSnapshot = () => test.agent.stop();
    expect(await reasonOf(team.removeSnapshot(snapshotId))).to.equal('HOST_UNAVAILABLE');
    expect(await reasonOf(team.getSnapshot(snapshotId))).to.equal('SNAPSHOT_NOT_FOUND');
    test.agent.script.beforeDeleteSnapshot = async () => undefined;
    await test.agent.start();
    await eventually(() => expect(test.agent.snapshots.size).to.equal(0));
    await eventually(async () => expect(await stateOf(snapshotId)).to.equal('DELETED'));
  });

  it('that a killed control plane left half made are given up, and their name is free again', async () => {
    const { snapshotId, sandboxId } = await made('half');
    await setRow(snapshotId, { state: 'CREATING' });
    await afterPass();
    expect(await reasonOf(team.snapshot(sandboxId, 'half'))).to.equal('SNAPSHOT_EXISTS');
    expect(test.agent.snapshots.has(snapshotId)).to.equal(true);
    await setRow(snapshotId, { state: 'CREATING', state_at: new Date(0) });
    await eventually(() => expect(test.agent.snapshots.size).to.equal(0));
    await eventually(() => team.snapshot(sandboxId, 'half'));
  });

  it('keep their row while one of a sandbox names it, and lose it when all are purged', async () => {
    const { snapshotId } = await made('old');
    const { sandboxId } = await team.create({ template: 'old' });
    await team.remove(sandboxId);
    await team.removeSnapshot(snapshotId);
    await setRow(snapshotId, { state_at: new Date(0) });
    await afterPass();
    expect(await stateOf(snapshotId)).to.equal('DELETED');
    await test.controlPlane.internal.database.query((knex) =>
      knex('sandboxes')
        .where({ id: sandboxId })
        .update({ state_at: new Date(0) }),
    );
    await eventually(async () => expect(await stateOf(snapshotId)).to.equal(undefined));
  });

  it('are refused of a sandbox that is not there to be frozen', async () => {
    const { sandboxId } = await team.create();
    test.agent.end(sandboxId, 'VMM_EXITED');
    await eventually(async () => {
      expect(await team.stateOf(sandboxId)).to.equal(SandboxState.SANDBOX_STATE_FAILED);
    });
    expect(await reasonOf(team.snapshot(sandboxId))).to.equal('SANDBOX_STATE');
    expect(await reasonOf(team.snapshot(sandboxId, '../x'))).to.equal('INVALID_REQUEST');
    const minimal = (await team.listSnapshots()).find(({ name }) => name === 'minimal');
    const removed = team.removeSnapshot(minimal?.snapshotId ?? '');
    expect(await reasonOf(removed)).to.equal('SNAPSHOT_NOT_FOUND');
  });

  /** A snapshot of a new sandbox. */
  async function made(name: string) {
    const { sandboxId } = await team.create();
    return team.snapshot(sandboxId, name);
  }

  async function heldBy(snapshotId: string): Promise<string | undefined> {
    const error = await rejectionOf(team.removeSnapshot(snapshotId));
    expect([error.code, error.reason]).to.deep.equal([Code.FAILED_PRECONDITION, 'SNAPSHOT_IN_USE']);
    return error.metadata.sandboxes;
  }

  async function stateOf(snapshotId: string): Promise<string | undefined> {
    const row = await test.controlPlane.internal.database.query((knex) =>
      knex('templates').where({ id: snapshotId }).first('state'),
    );
    return row?.state;
  }

  async function setRow(snapshotId: string, columns: Record<string, unknown>): Promise<void> {
    await test.controlPlane.internal.database.query((knex) =>
      knex('templates').where({ id: snapshotId }).update(columns),
    );
  }

  /** Waits for a pass of the reconciler that began after now. */
  async function afterPass(): Promise<void> {
    const { reconciler } = test.controlPlane.internal;
    const passes = new Set<number>();
    await eventually(() => {
      passes.add(reconciler.lastPass?.finishedAt.getTime() ?? 0);
      expect(passes.size).to.be.greaterThan(3);
    });
  }
});
