import { expect } from 'chai';
import { SandboxState as HostState } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { type Sandbox, SandboxState } from '../../gen/ts/wrenn/v1/sandbox.js';
import { type Reason, reasonNumber } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { toTimestamp } from '../../lib/rpc/timestamp.js';
import type { PassOutcome } from '../../src/reconciler/reconciler.js';
import {
  type Account,
  plainSandbox,
  sandboxPage,
  type TestControlPlane,
  useControlPlane,
} from '../support/control-plane.js';
import { eventually } from '../support/eventually.js';
import { reasonOf } from '../support/rejection.js';

const GRACE_MS = 1500;

describe('the reconciler', () => {
  const test = useControlPlane({
    environment: {
      WRENN_RECONCILE_INTERVAL_MS: '100',
      WRENN_RECONCILE_GRACE_MS: `${GRACE_MS}`,
    },
  });
  let account: Account;
  beforeEach(async () => {
    account = await test.signUp();
  });
  afterEach(async () => {
    test.agent.script.complete = true;
    const { sandboxes } = await list();
    await Promise.all(sandboxes.map(({ sandboxId }) => remove(sandboxId)));
  });

  it('writes down that a VMM has ended, and then lets the host forget it', async () => {
    const { sandboxId } = await create();
    test.agent.end(sandboxId, 'VMM_EXITED');
    await eventuallyIn(sandboxId, SandboxState.SANDBOX_STATE_FAILED, 'VMM_EXITED');
    await eventually(() => expect(test.agent.sandboxes.has(sandboxId)).to.equal(false));
    expect(await reasonOf(exec(sandboxId))).to.equal('SANDBOX_STATE');
  });

  it('removes a sandbox that the host’s reaper has ended', async () => {
    const { sandboxId } = await create();
    test.agent.end(sandboxId, 'SANDBOX_TIMEOUT');
    await eventually(async () => {
      expect(await reasonOf(get(sandboxId))).to.equal('SANDBOX_NOT_FOUND');
      expect(test.agent.sandboxes.has(sandboxId)).to.equal(false);
    });
  });

  it('asks the host again until it forgets, when an answer was lost', async () => {
    const { sandboxId } = await create();
    let refusals = 0;
    test.agent.script.beforeDestroy = async () => {
      refusals += 1;
      if (refusals <= 3) throw new Error('the answer is lost');
    };
    test.agent.end(sandboxId, 'SANDBOX_TIMEOUT');
    await eventually(() => expect(test.agent.sandboxes.has(sandboxId)).to.equal(false));
    expect(refusals).to.equal(4);
    expect(await reasonOf(get(sandboxId))).to.equal('SANDBOX_NOT_FOUND');
  });

  it('calls a sandbox lost that the host no longer has, and running when it is there again', async () => {
    const { sandboxId } = await create();
    const hidden = test.agent.sandboxes.get(sandboxId);
    test.agent.sandboxes.delete(sandboxId);
    expect(await reasonOf(exec(sandboxId))).to.equal('SANDBOX_LOST');
    await eventuallyIn(sandboxId, SandboxState.SANDBOX_STATE_LOST, 'SANDBOX_LOST');

    if (hidden) test.agent.plant(sandboxId, hidden);
    await eventuallyIn(sandboxId, SandboxState.SANDBOX_STATE_RUNNING, 'UNSPECIFIED');
    await exec(sandboxId);
  });

  it('concludes nothing from a host that has not found its sandboxes yet', async () => {
    const { sandboxId } = await create();
    test.agent.script.complete = false;
    const hidden = test.agent.sandboxes.get(sandboxId);
    test.agent.sandboxes.delete(sandboxId);
    await afterPasses(4, 'host-incomplete');
    expect((await get(sandboxId)).state).to.equal(SandboxState.SANDBOX_STATE_RUNNING);
    if (hidden) test.agent.plant(sandboxId, hidden);
  });

  it('concludes nothing while the host is away', async () => {
    const { sandboxId } = await create();
    await test.agent.stop();
    try {
      await afterPasses(3, 'host-unavailable');
      expect((await get(sandboxId)).state).to.equal(SandboxState.SANDBOX_STATE_RUNNING);
    } finally {
      await test.agent.start();
    }
    await eventually(() => exec(sandboxId));
  });

  it('goes by the database’s own answer only, not by its absence', async () => {
    const { database } = test.controlPlane.internal;
    const { sandboxId } = await create();
    await database.query((knex) => knex.raw('alter table sandboxes rename to hidden'));
    try {
      await afterPasses(3, 'failed');
    } finally {
      await database.query((knex) => knex.raw('alter table hidden rename to sandboxes'));
    }
    expect(test.agent.sandboxes.has(sandboxId)).to.equal(true);
    await exec(sandboxId);
  });

  it('deletes an orphan after the grace period, and leaves a young one alone', async () => {
    await create();
    const old = randomId();
    const young = randomId();
    test.agent.plant(old, { createdAt: toTimestamp(Date.now() - 10 * GRACE_MS) });
    test.agent.plant(young, { createdAt: toTimestamp(Date.now() + 600_000) });
    await eventually(() => expect(test.agent.sandboxes.has(old)).to.equal(false));
    await afterPasses(3, 'done');
    expect(test.agent.sandboxes.has(young)).to.equal(true);
    test.agent.sandboxes.delete(young);
  });

  it('deletes at once what a host still has of a deleted sandbox', async () => {
    const { sandboxId } = await create();
    const kept = test.agent.sandboxes.get(sandboxId);
    await remove(sandboxId);
    if (kept) test.agent.plant(sandboxId, kept);
    await eventually(() => expect(test.agent.sandboxes.has(sandboxId)).to.equal(false));
  });

  it('finishes what a killed control plane has left', async () => {
    const started = await create();
    const deleting = await create();
    const booting = await create();
    await setState(started.sandboxId, 'STARTING');
    await setState(deleting.sandboxId, 'DELETING');
    await setState(booting.sandboxId, 'STARTING');
    test.agent.sandboxes.delete(booting.sandboxId);
    await test.restart();

    await eventuallyIn(started.sandboxId, SandboxState.SANDBOX_STATE_RUNNING, 'UNSPECIFIED');
    await eventuallyIn(booting.sandboxId, SandboxState.SANDBOX_STATE_FAILED, 'SANDBOX_LOST');
    await eventually(async () => {
      expect(await reasonOf(get(deleting.sandboxId))).to.equal('SANDBOX_NOT_FOUND');
      expect(test.agent.sandboxes.has(deleting.sandboxId)).to.equal(false);
    });
  });

  it('leaves a boot alone on which this process is working', async () => {
    let end: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      end = resolve;
    });
    test.agent.script.beforeBoot = async ({ sandboxId }) => {
      // The host forgets it for a while: another process would call it lost.
      const hidden = test.agent.sandboxes.get(sandboxId);
      test.agent.sandboxes.delete(sandboxId);
      await held;
      if (hidden) test.agent.sandboxes.set(sandboxId, hidden);
    };
    const startedAt = performance.now();
    const created = create();
    await eventually(() => expect(performance.now() - startedAt).to.be.greaterThan(GRACE_MS));
    await afterPasses(2, 'done');
    end();
    expect((await created).state).to.equal(SandboxState.SANDBOX_STATE_RUNNING);
    test.agent.script.beforeBoot = async () => undefined;
  });

  it('offers the templates of a host', async () => {
    const { host } = test.agent.script;
    expect(await reasonOf(create('python'))).to.equal('TEMPLATE_NOT_FOUND');
    test.agent.script.host = { ...host, templates: ['minimal', 'python'] };
    await eventually(() => create('python'));
    test.agent.script.host = host;
  });

  it('purges rows of sandboxes that were deleted long ago, and no others', async () => {
    const { database } = test.controlPlane.internal;
    const [long, lately, living] = [await create(), await create(), await create()];
    await remove(long.sandboxId);
    await remove(lately.sandboxId);
    await database.query((knex) =>
      knex('sandboxes')
        .whereIn('id', [long.sandboxId, living.sandboxId])
        .update({ state_at: new Date(0) }),
    );
    await eventually(async () => {
      const ids = await database.query((knex) => knex('sandboxes').pluck('id'));
      expect(ids).to.not.include(long.sandboxId);
      expect(ids).to.include.members([lately.sandboxId, living.sandboxId]);
    });
  });

  it('runs in one of two control planes of the same host at a time', async () => {
    const { stores } = test.controlPlane.internal;
    let end: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      end = resolve;
    });
    const holding = stores.hostSandboxes.alone(test.agent.script.host.hostId, () => held);
    await afterPasses(3, 'another-control-plane');
    end();
    await holding;
    await afterPasses(1, 'done');
  });

  /** Waits for passes that end like this, one after another. */
  async function afterPasses(count: number, outcome: PassOutcome): Promise<void> {
    const { reconciler } = test.controlPlane.internal;
    const seen = new Set<number>();
    await eventually(() => {
      const pass = reconciler.lastPass;
      if (pass?.outcome === outcome) seen.add(pass.finishedAt.getTime());
      expect(seen.size).to.be.greaterThan(count);
    });
  }

  async function eventuallyIn(sandboxId: string, state: SandboxState, reason: Reason) {
    await eventually(async () => {
      const sandbox = await get(sandboxId);
      expect([SandboxState[sandbox.state], sandbox.stateReason]).to.deep.equal([
        SandboxState[state],
        reasonNumber(reason),
      ]);
    });
  }

  async function setState(sandboxId: string, state: string): Promise<void> {
    await test.controlPlane.internal.database.query((knex) =>
      knex('sandboxes').where({ id: sandboxId }).update({ state }),
    );
  }

  function create(template = ''): Promise<Sandbox> {
    return test.clients.sandboxes.createSandbox(plainSandbox({ template }), account.asTeam);
  }

  function get(sandboxId: string): Promise<Sandbox> {
    return test.clients.sandboxes.getSandbox({ sandboxId }, account.asTeam);
  }

  function list() {
    return test.clients.sandboxes.listSandboxes(sandboxPage(), account.asTeam);
  }

  function remove(sandboxId: string) {
    return test.clients.sandboxes.deleteSandbox({ sandboxId }, account.asTeam);
  }

  function exec(sandboxId: string) {
    const nothing = { args: [], timeoutSec: 0, env: {}, cwd: '', user: '', stdin: Buffer.alloc(0) };
    return test.clients.processes.exec({ sandboxId, cmd: 'true', ...nothing }, account.asTeam);
  }
});

describe('the reconciler of a database that knows nothing of a host', () => {
  const test = useControlPlane({
    environment: { WRENN_RECONCILE_INTERVAL_MS: '100', WRENN_RECONCILE_GRACE_MS: '0' },
  });

  it('deletes nothing there', async () => {
    const ids = Array.from({ length: 5 }, () => randomId());
    for (const id of ids)
      test.agent.plant(id, { createdAt: toTimestamp(0), state: HostState.SANDBOX_STATE_RUNNING });
    await eventually(() => {
      expect(test.controlPlane.internal.reconciler.lastPass?.orphansHeldBack).to.equal(5);
    });
    expect([...test.agent.sandboxes.keys()]).to.deep.equal(ids);
    expect(test.agent.destroyed).to.deep.equal([]);
  });
});

describe('two control planes with a host each on one database', () => {
  const environment = {
    WRENN_RECONCILE_INTERVAL_MS: '100',
    WRENN_RECONCILE_GRACE_MS: '0',
    DATABASE_SCHEMA: `test_${randomId(12)}`,
  };
  const one = useControlPlane({ environment });
  const other = useControlPlane({ environment });
  let account: Account;
  before(async () => {
    other.agent.script.host = { ...other.agent.script.host, hostId: 'otherhost' };
    account = await one.signUp();
  });

  it('leave each other’s sandboxes alone', async () => {
    const [here, there] = [await create(one), await create(other)];
    await afterPasses(one, 4);
    await afterPasses(other, 4);
    for (const { sandboxId } of [here, there]) {
      const { state } = await one.clients.sandboxes.getSandbox({ sandboxId }, account.asTeam);
      expect(SandboxState[state]).to.equal('SANDBOX_STATE_RUNNING');
    }
    await one.clients.sandboxes.pingSandbox(here, account.asTeam);
    await other.clients.sandboxes.pingSandbox(there, account.asTeam);
  });

  it('end on no host what another host’s row names', async () => {
    const { sandboxId } = await create(one);
    other.agent.plant(sandboxId, { createdAt: toTimestamp(0) });
    await afterPasses(other, 4);
    expect(other.agent.sandboxes.has(sandboxId)).to.equal(true);
    other.agent.sandboxes.delete(sandboxId);
  });

  it('say that the host is not there to whoever asks for its sandbox at the other', async () => {
    const { sandboxId } = await create(one);
    const ping = other.clients.sandboxes.pingSandbox({ sandboxId }, account.asTeam);
    expect(await reasonOf(ping)).to.equal('HOST_UNAVAILABLE');
  });

  it('delete a sandbox only on its own host, whoever is asked', async () => {
    const { sandboxId } = await create(one);
    const removed = other.clients.sandboxes.deleteSandbox({ sandboxId }, account.asTeam);
    expect(await reasonOf(removed)).to.equal('HOST_UNAVAILABLE');
    expect(other.agent.destroyed).to.not.include(sandboxId);
    await eventually(async () => {
      const found = one.clients.sandboxes.getSandbox({ sandboxId }, account.asTeam);
      expect(await reasonOf(found)).to.equal('SANDBOX_NOT_FOUND');
    });
    expect(one.agent.destroyed).to.include(sandboxId);
  });

  function create({ clients }: TestControlPlane): Promise<Sandbox> {
    return clients.sandboxes.createSandbox(plainSandbox(), account.asTeam);
  }

  async function afterPasses({ controlPlane }: TestControlPlane, count: number): Promise<void> {
    const seen = new Set<number>();
    await eventually(() => {
      const pass = controlPlane.internal.reconciler.lastPass;
      if (pass?.outcome === 'done') seen.add(pass.finishedAt.getTime());
      expect(seen.size).to.be.greaterThan(count);
    });
  }
});
