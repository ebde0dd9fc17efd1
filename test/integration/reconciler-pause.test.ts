/** What the reconciler makes of sandboxes that are, or should be, paused. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { SandboxState as HostState } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { SandboxState, TimeoutAction } from '../../gen/ts/wrenn/v1/sandbox.js';
import { type Reason, reasonNumber } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { silentLog } from '../../lib/log/log.js';
import { toTimestamp } from '../../lib/rpc/timestamp.js';
import { startControlPlane } from '../../src/server.js';
import {
  type Account,
  connectClients,
  type TestControlPlane,
  useControlPlane,
} from '../support/control-plane.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { testPostgres } from '../support/postgres.js';
import { reasonOf } from '../support/rejection.js';
import { SandboxCalls } from '../support/sandbox-calls.js';

const { SANDBOX_STATE_RUNNING, SANDBOX_STATE_PAUSING, SANDBOX_STATE_PAUSED } = SandboxState;
const { SANDBOX_STATE_RESUMING } = SandboxState;
const GRACE_MS = 500;

describe('the reconciler of paused sandboxes', () => {
  const test = useControlPlane({
    environment: {
      WRENN_RECONCILE_INTERVAL_MS: '100',
      WRENN_RECONCILE_GRACE_MS: `${GRACE_MS}`,
    },
  });
  let account: Account;
  let team: SandboxCalls;
  beforeEach(async () => {
    account = await test.signUp();
    team = new SandboxCalls(() => test.clients, account);
  });
  afterEach(async () => {
    for (const { sandboxId } of await team.list()) await team.remove(sandboxId);
    test.agent.reset();
  });

  it('never loses what the timeout has paused, though the first answers that tell of it are lost', async () => {
    const { sandboxId } = await createExpiring();
    const { database } = test.controlPlane.internal;
    await database.query((knex) => knex.raw('alter table sandboxes rename to hidden'));
    test.agent.expire(sandboxId);
    try {
      await afterPasses(3, 'failed');
    } finally {
      await database.query((knex) => knex.raw('alter table hidden rename to sandboxes'));
    }
    await eventuallyIn(sandboxId, SANDBOX_STATE_PAUSED, 'SANDBOX_TIMEOUT');
    const { sandbox } = await team.resume(sandboxId);
    expect(sandbox?.stateReason).to.equal(reasonNumber('UNSPECIFIED'));
    await team.exec(sandboxId);
    expect(test.agent.destroyed).to.deep.equal([]);
  });

  it('finds what the timeout has paused while the host was out of reach', async () => {
    const { sandboxId } = await createExpiring();
    await test.agent.stop();
    test.agent.expire(sandboxId);
    await afterPasses(2, 'host-unavailable');
    await test.agent.start();
    await eventuallyIn(sandboxId, SANDBOX_STATE_PAUSED, 'SANDBOX_TIMEOUT');
  });

  it('lets a user resume what the timeout has paused a moment ago', async () => {
    const { sandboxId } = await createExpiring();
    test.agent.expire(sandboxId);
    expect(await reasonOf(team.exec(sandboxId))).to.equal('SANDBOX_STATE');
    await eventuallyIn(sandboxId, SANDBOX_STATE_PAUSED, 'SANDBOX_TIMEOUT');
    await team.resume(sandboxId);
  });

  it('never calls a paused sandbox lost, though its host does not name it', async () => {
    const { sandboxId } = await team.create();
    await team.pause(sandboxId);
    const hidden = test.agent.sandboxes.get(sandboxId);
    test.agent.sandboxes.delete(sandboxId);
    await afterPasses(4, 'done');
    expect(await team.stateOf(sandboxId)).to.equal(SANDBOX_STATE_PAUSED);
    if (hidden) test.agent.plant(sandboxId, hidden);
    await team.resume(sandboxId);
  });

  for (const [outcome, state] of [
    ['succeeded', SANDBOX_STATE_PAUSED],
    ['failed', SANDBOX_STATE_RUNNING],
  ] as const) {
    it(`settles a pause whose host broke off and that ${outcome} there`, async () => {
      const { sandboxId } = await team.create();
      test.agent.script.beforePause = async () => {
        await test.agent.stop();
        if (outcome === 'failed') throw new Error('failed');
      };
      expect(await reasonOf(team.pause(sandboxId))).to.equal('HOST_UNAVAILABLE');
      expect(await team.stateOf(sandboxId)).to.equal(SANDBOX_STATE_PAUSING);
      await test.agent.start();
      await eventuallyIn(sandboxId, state, 'UNSPECIFIED');
    });
  }

  for (const [outcome, state] of [
    ['succeeded', SANDBOX_STATE_RUNNING],
    ['failed', SANDBOX_STATE_PAUSED],
  ] as const) {
    it(`settles a resume whose host broke off and that ${outcome} there`, async () => {
      const { sandboxId } = await team.create();
      await team.pause(sandboxId);
      test.agent.script.beforeResume = async () => {
        await test.agent.stop();
        if (outcome === 'failed') throw new Error('failed');
      };
      expect(await reasonOf(team.resume(sandboxId))).to.equal('HOST_UNAVAILABLE');
      expect(await team.stateOf(sandboxId)).to.equal(SANDBOX_STATE_RESUMING);
      test.agent.script.beforeResume = async () => undefined;
      await test.agent.start();
      await eventuallyIn(sandboxId, state, 'UNSPECIFIED');
      await team.resume(sandboxId);
      await team.exec(sandboxId);
    });
  }

  it('finishes what a killed control plane has left between running and paused', async () => {
    const [pausing, notPaused] = [await team.create(), await team.create()];
    const [resuming, notResumed] = [await team.create(), await team.create()];
    for (const { sandboxId } of [pausing, notResumed]) await team.pause(sandboxId);
    await setRow(pausing.sandboxId, { state: 'PAUSING' });
    await setRow(resuming.sandboxId, { state: 'RESUMING' });
    // These commands never reached the host.
    await setRow(notPaused.sandboxId, { state: 'PAUSING', generation: 7 });
    await setRow(notResumed.sandboxId, { state: 'RESUMING', generation: 7 });
    await test.restart();

    await eventuallyIn(pausing.sandboxId, SANDBOX_STATE_PAUSED, 'UNSPECIFIED');
    await eventuallyIn(notPaused.sandboxId, SANDBOX_STATE_RUNNING, 'UNSPECIFIED');
    await eventuallyIn(resuming.sandboxId, SANDBOX_STATE_RUNNING, 'UNSPECIFIED');
    await eventuallyIn(notResumed.sandboxId, SANDBOX_STATE_PAUSED, 'UNSPECIFIED');
    await team.pause(notPaused.sandboxId);
    await team.resume(notResumed.sandboxId);
  });

  it('calls lost what was on its way and is nowhere, and finds it again', async () => {
    const { sandboxId } = await team.create();
    await team.pause(sandboxId);
    const hidden = test.agent.sandboxes.get(sandboxId);
    test.agent.sandboxes.delete(sandboxId);
    await setRow(sandboxId, { state: 'RESUMING' });
    await eventuallyIn(sandboxId, SandboxState.SANDBOX_STATE_LOST, 'SANDBOX_LOST');
    if (hidden) test.agent.plant(sandboxId, hidden);
    await eventuallyIn(sandboxId, SANDBOX_STATE_PAUSED, 'UNSPECIFIED');
    await team.resume(sandboxId);
  });

  it('says that a guest stands still for want of disk, and that it goes on', async () => {
    const { sandboxId } = await team.create();
    test.agent.plant(sandboxId, { diskFull: true });
    await eventuallyIn(sandboxId, SANDBOX_STATE_RUNNING, 'DISK_FULL');
    test.agent.plant(sandboxId, { diskFull: false });
    await eventuallyIn(sandboxId, SANDBOX_STATE_RUNNING, 'UNSPECIFIED');
  });

  it('deletes at once what a host still has paused of a deleted sandbox', async () => {
    const { sandboxId } = await team.create();
    await team.pause(sandboxId);
    const kept = test.agent.sandboxes.get(sandboxId);
    await team.remove(sandboxId);
    if (kept) test.agent.plant(sandboxId, kept);
    await eventually(() => expect(test.agent.sandboxes.has(sandboxId)).to.equal(false));
  });

  it('deletes a paused orphan after the grace period, and leaves a young one alone', async () => {
    await team.create();
    const [old, young] = [randomId(), randomId()];
    const state = HostState.SANDBOX_STATE_PAUSED;
    test.agent.plant(old, { state, createdAt: toTimestamp(Date.now() - 10 * GRACE_MS) });
    test.agent.plant(young, { state, createdAt: toTimestamp(Date.now() + 600_000) });
    await eventually(() => expect(test.agent.sandboxes.has(old)).to.equal(false));
    await afterPasses(3, 'done');
    expect(test.agent.sandboxes.has(young)).to.equal(true);
  });

  it('leaves a pause and a resume alone on which this process is working', async () => {
    const { sandboxId } = await team.create();
    const { opened, open } = gate();
    test.agent.script.beforePause = async () => {
      // The host forgets it for a while: another process would call it lost.
      const hidden = test.agent.sandboxes.get(sandboxId);
      test.agent.sandboxes.delete(sandboxId);
      await opened;
      if (hidden) test.agent.plant(sandboxId, hidden);
    };
    const paused = team.pause(sandboxId);
    await eventually(() => expect(test.agent.paused).to.have.length(1));
    await afterPasses(3, 'done');
    open();
    expect((await paused).state).to.equal(SANDBOX_STATE_PAUSED);
  });

  it('of another process of the same host never makes a second machine of a resume', async () => {
    const { sandboxId } = await team.create();
    await team.pause(sandboxId);
    await using other = await startBeside(test);
    const there = new SandboxCalls(() => other.clients, account);
    const { opened, open } = gate();
    test.agent.script.beforeResume = () => opened;
    const here = team.resume(sandboxId);
    await eventually(() => expect(test.agent.resumed).to.have.length(1));
    const others = Array.from({ length: 20 }, () => there.resume(sandboxId));
    expect(await reasonOf(there.pause(sandboxId))).to.equal('SANDBOX_STATE');
    open();
    const answers = await Promise.all([here, ...others]);
    const states = new Set(answers.map(({ sandbox }) => sandbox?.state));
    expect(states).to.deep.equal(new Set([SANDBOX_STATE_RUNNING]));
    expect(test.agent.resumed).to.have.length(1);
  });

  async function createExpiring() {
    const onTimeout = TimeoutAction.TIMEOUT_ACTION_PAUSE;
    return team.create({ timeoutSec: 60, onTimeout });
  }

  async function eventuallyIn(sandboxId: string, state: SandboxState, reason: Reason) {
    await eventually(async () => {
      const sandbox = await team.get(sandboxId);
      expect([SandboxState[sandbox.state], sandbox.stateReason]).to.deep.equal([
        ...[SandboxState[state], reasonNumber(reason)],
      ]);
    });
  }

  async function setRow(sandboxId: string, columns: Record<string, unknown>): Promise<void> {
    await test.controlPlane.internal.database.query((knex) =>
      knex('sandboxes').where({ id: sandboxId }).update(columns),
    );
  }

  /** Waits for passes that end like this, one after another. */
  async function afterPasses(count: number, outcome: string): Promise<void> {
    const seen = new Set<number>();
    await eventually(() => {
      const pass = test.controlPlane.internal.reconciler.lastPass;
      if (pass?.outcome === outcome) seen.add(pass.finishedAt.getTime());
      expect(seen.size).to.be.greaterThan(count);
    });
  }
});

/** A second control plane of the same host and database. */
async function startBeside({ config }: TestControlPlane) {
  const directory = await mkdtemp(join(tmpdir(), 'wrenn-cp-'));
  const folders = { stateDirectory: directory, runDirectory: directory };
  const connection = await testPostgres();
  const controlPlane = await startControlPlane({ ...config, ...folders }, silentLog, {
    connection,
  });
  const clients = connectClients(controlPlane.grpcAddress);
  return {
    clients,
    [Symbol.asyncDispose]: async () => {
      clients.close();
      await controlPlane.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
