/** Creating sandboxes: what is left when it fails, and how many a team may have. */
import { expect } from 'chai';
import { type Sandbox, SandboxState } from '../../gen/ts/wrenn/v1/sandbox.js';
import { Code, reasonNumber, WrennError } from '../../lib/errors/index.js';
import {
  type Account,
  plainSandbox,
  sandboxPage,
  useControlPlane,
} from '../support/control-plane.js';
import { eventually } from '../support/eventually.js';
import { untilAborted } from '../support/fake-host-agent.js';
import { reasonOf, rejectionOf } from '../support/rejection.js';

describe('a create that does not succeed', () => {
  const test = useControlPlane();
  let account: Account;
  beforeEach(async () => {
    account = await test.signUp();
  });
  afterEach(() => test.agent.reset());

  it('keeps a sandbox whose boot failed, with the reason, and nothing on the host', async () => {
    test.agent.script.beforeBoot = async () => {
      throw new WrennError(Code.DEADLINE_EXCEEDED, 'BOOT_TIMEOUT', 'agent text');
    };
    const error = await rejectionOf(create());
    expect([error.code, error.reason]).to.deep.equal([Code.DEADLINE_EXCEEDED, 'BOOT_TIMEOUT']);
    expect(error.message).not.to.include('agent text');

    const [sandbox] = await list();
    expect(sandbox?.state).to.equal(SandboxState.SANDBOX_STATE_FAILED);
    expect(sandbox?.stateReason).to.equal(reasonNumber('BOOT_TIMEOUT'));
    expect(await reasonOf(exec(sandbox?.sandboxId ?? ''))).to.equal('SANDBOX_STATE');
    await remove(sandbox?.sandboxId ?? '');
    expect(await list()).to.deep.equal([]);
  });

  it('keeps nothing of a sandbox that the host refused', async () => {
    test.agent.script.beforeBoot = async () => {
      throw new WrennError(Code.RESOURCE_EXHAUSTED, 'NETWORK_EXHAUSTED', 'agent text');
    };
    const error = await rejectionOf(create());
    expect([error.code, error.reason]).to.deep.equal([
      ...[Code.RESOURCE_EXHAUSTED, 'NETWORK_EXHAUSTED'],
    ]);
    expect(await list()).to.deep.equal([]);
  });

  it('asks the host for nothing that it cannot run', async () => {
    expect(await reasonOf(create({ template: 'unknown' }))).to.equal('TEMPLATE_NOT_FOUND');
    test.agent.script.host = { ...test.agent.script.host, memoryMbUsed: 999_999 };
    expect(await reasonOf(create())).to.equal('HOST_EXHAUSTED');
    expect(test.agent.created).to.deep.equal([]);
    expect(await list()).to.deep.equal([]);
  });

  it('leaves nothing behind for a caller who went away', async () => {
    const booting = holdBoots();
    const caller = new AbortController();
    const call = test.clients.sandboxes.createSandbox(plainSandbox(), {
      ...account.asTeam,
      signal: caller.signal,
    });
    await booting;
    caller.abort();
    expect((await rejectionOf(call)).code).to.equal(Code.CANCELLED);
    await eventually(async () => {
      expect(await list()).to.deep.equal([]);
      expect(test.agent.sandboxes.size).to.equal(0);
    });
  });

  it('leaves nothing behind for a caller whose deadline passed', async () => {
    void holdBoots();
    const call = test.clients.sandboxes.createSandbox(plainSandbox(), {
      ...account.asTeam,
      timeoutMs: 300,
    });
    expect((await rejectionOf(call)).code).to.equal(Code.DEADLINE_EXCEEDED);
    await eventually(async () => {
      expect(await list()).to.deep.equal([]);
      expect(test.agent.sandboxes.size).to.equal(0);
    });
  });

  it('lets a delete win over it', async () => {
    const booting = holdBoots();
    const call = rejectionOf(create());
    const sandboxId = await booting;
    expect((await get(sandboxId)).state).to.equal(SandboxState.SANDBOX_STATE_STARTING);
    expect(await reasonOf(exec(sandboxId))).to.equal('SANDBOX_STATE');

    await remove(sandboxId);
    const error = await call;
    expect([error.code, error.reason]).to.deep.equal([Code.ABORTED, 'SANDBOX_CONFLICT']);
    expect(await list()).to.deep.equal([]);
    expect(test.agent.sandboxes.size).to.equal(0);
  });

  it('says so when no host answers, and stores nothing', async () => {
    await test.agent.stop();
    try {
      const error = await rejectionOf(create());
      expect([error.code, error.reason]).to.deep.equal([Code.UNAVAILABLE, 'HOST_UNAVAILABLE']);
      expect(error.retryAfterSec).to.be.greaterThan(0);
      expect(await list()).to.deep.equal([]);
    } finally {
      await test.agent.start();
    }
    await eventually(() => create());
  });

  /** Boots wait until they are called off. @returns the id of the first that does. */
  function holdBoots(): Promise<string> {
    return new Promise((resolve) => {
      test.agent.script.beforeBoot = async ({ sandboxId }, signal) => {
        resolve(sandboxId);
        await untilAborted(signal);
      };
    });
  }

  function create(fields: Parameters<typeof plainSandbox>[0] = {}): Promise<Sandbox> {
    return test.clients.sandboxes.createSandbox(plainSandbox(fields), account.asTeam);
  }

  function get(sandboxId: string): Promise<Sandbox> {
    return test.clients.sandboxes.getSandbox({ sandboxId }, account.asTeam);
  }

  async function list(): Promise<Sandbox[]> {
    return (await test.clients.sandboxes.listSandboxes(sandboxPage(), account.asTeam)).sandboxes;
  }

  function remove(sandboxId: string) {
    return test.clients.sandboxes.deleteSandbox({ sandboxId }, account.asTeam);
  }

  function exec(sandboxId: string) {
    const nothing = { args: [], timeoutSec: 0, env: {}, cwd: '', user: '', stdin: Buffer.alloc(0) };
    return test.clients.processes.exec({ sandboxId, cmd: 'true', ...nothing }, account.asTeam);
  }
});

describe('the limit of sandboxes of a team', () => {
  const test = useControlPlane({ environment: { WRENN_TEAM_SANDBOXES_MAX: '10' } });

  it('lets exactly ten of two hundred creates succeed that come at once', async function () {
    this.timeout(60_000);
    const account = await test.signUp();
    const other = await test.signUp();
    const outcomes = await Promise.allSettled([
      ...Array.from({ length: 200 }, () =>
        test.clients.sandboxes.createSandbox(plainSandbox(), account.asTeam),
      ),
      test.clients.sandboxes.createSandbox(plainSandbox(), other.asTeam),
    ]);
    const created = outcomes.filter(({ status }) => status === 'fulfilled');
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(created).to.have.length(10 + 1);
    expect(new Set(refused.map(({ reason }) => reason.reason))).to.deep.equal(
      new Set(['SANDBOX_LIMIT']),
    );
    expect(test.agent.sandboxes.size).to.equal(11);
  });
});
