/** Copies of sandboxes: what each gets, and what is left when one or all of them fail. */
import { expect } from 'chai';
import {
  type ForkSandboxResponse,
  type Sandbox,
  SandboxState,
  TimeoutAction,
} from '../../gen/ts/wrenn/v1/sandbox.js';
import { Code, reasonNumber, WrennError } from '../../lib/errors/index.js';
import { useControlPlane } from '../support/control-plane.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { reasonOf, rejectionOf } from '../support/rejection.js';
import { SandboxCalls } from '../support/sandbox-calls.js';

const { SANDBOX_STATE_RUNNING, SANDBOX_STATE_PAUSED } = SandboxState;
const TEAM_SANDBOXES_MAX = 12;

describe('a fork', () => {
  const test = useControlPlane({
    environment: {
      WRENN_RECONCILE_INTERVAL_MS: '100',
      WRENN_TEAM_SANDBOXES_MAX: `${TEAM_SANDBOXES_MAX}`,
    },
  });
  let team: SandboxCalls;
  beforeEach(async () => {
    team = new SandboxCalls(() => test.clients, await test.signUp());
  });
  afterEach(() => test.agent.reset());

  it('starts copies with ids of their own and all else of the sandbox, which goes on', async () => {
    const onTimeout = TimeoutAction.TIMEOUT_ACTION_PAUSE;
    const wish = { vcpus: 2, memoryMb: 256, timeoutSec: 60, onTimeout, metadata: { a: 'b' } };
    const parent = await team.create(wish);
    const copies = copiesOf(await team.fork(parent.sandboxId, 5));
    expect(new Set([parent, ...copies].map(({ sandboxId }) => sandboxId)).size).to.equal(6);
    for (const copy of copies) {
      expect(copy).to.deep.include({ ...wish, template: 'minimal', state: SANDBOX_STATE_RUNNING });
      expect(await team.get(copy.sandboxId)).to.deep.equal(copy);
      await team.exec(copy.sandboxId);
    }
    expect(test.agent.forked).to.have.length(1);
    expect(await team.stateOf(parent.sandboxId)).to.equal(SANDBOX_STATE_RUNNING);
  });

  it('starts one copy when no number is given, also of a paused sandbox, which stays paused', async () => {
    const { sandboxId } = await team.create();
    await team.pause(sandboxId);
    const [copy, ...others] = copiesOf(await team.fork(sandboxId, 0));
    expect([copy?.state, others]).to.deep.equal([SANDBOX_STATE_RUNNING, []]);
    expect(await team.stateOf(sandboxId)).to.equal(SANDBOX_STATE_PAUSED);
  });

  it('gives a copy that can be paused, resumed, forked and deleted like any other', async () => {
    const { sandboxId } = await team.create();
    const [copy] = copiesOf(await team.fork(sandboxId, 1));
    const id = copy?.sandboxId ?? '';
    await team.pause(id);
    await team.resume(id);
    await team.fork(id, 1);
    await team.remove(id);
    expect(test.agent.sandboxes.has(id)).to.equal(false);
  });

  it('tells of each copy that failed, and keeps nothing of it', async () => {
    const { sandboxId } = await team.create();
    test.agent.script.forkFailure = (index) => (index % 2 === 1 ? 'RESTORE_FAILED' : undefined);
    const { results } = await team.fork(sandboxId, 4);
    expect(results.map(({ result }) => result?.$case)).to.deep.equal([
      ...['sandbox', 'error', 'sandbox', 'error'],
    ]);
    const failed = results[1]?.result;
    expect(failed?.$case === 'error' && failed.value).to.deep.include({
      ...{ code: Code.INTERNAL, reason: reasonNumber('RESTORE_FAILED') },
    });
    const left = (await team.list()).map((sandbox) => sandbox.sandboxId);
    expect(left).to.have.length(3);
    expect([...test.agent.sandboxes.keys()]).to.have.members(left);
  });

  it('leaves nothing behind when it fails as a whole', async () => {
    const { sandboxId } = await team.create();
    test.agent.script.beforeFork = async () => {
      throw new WrennError(Code.UNKNOWN, 'PAUSE_FAILED', 'agent text');
    };
    expect(await reasonOf(team.fork(sandboxId, 3))).to.equal('PAUSE_FAILED');
    expect((await team.list()).map((left) => left.sandboxId)).to.deep.equal([sandboxId]);
    await team.exec(sandboxId);
  });

  it('leaves no copy of which nobody knows the id behind when its caller goes away', async () => {
    const { sandboxId } = await team.create();
    const { opened, open } = gate();
    test.agent.script.beforeFork = () => opened;
    const caller = new AbortController();
    const call = rejectionOf(team.fork(sandboxId, 3, caller.signal));
    await eventually(() => expect(test.agent.forked).to.have.length(1));
    caller.abort();
    await call;
    open();
    await eventually(async () => {
      expect((await team.list()).map((left) => left.sandboxId)).to.deep.equal([sandboxId]);
      expect([...test.agent.sandboxes.keys()]).to.deep.equal([sandboxId]);
    });
  });

  it('leaves no copy behind when the host goes away in the middle', async () => {
    const { sandboxId } = await team.create();
    test.agent.script.beforeFork = () => test.agent.stop();
    expect(await reasonOf(team.fork(sandboxId, 3))).to.equal('HOST_UNAVAILABLE');
    await test.agent.start();
    await eventually(async () => {
      expect((await team.list()).map((left) => left.sandboxId)).to.deep.equal([sandboxId]);
      expect([...test.agent.sandboxes.keys()]).to.deep.equal([sandboxId]);
    });
  });

  it('never brings a team beyond its limit, and starts none rather than some', async () => {
    const { sandboxId } = await team.create();
    expect(await reasonOf(team.fork(sandboxId, TEAM_SANDBOXES_MAX))).to.equal('SANDBOX_LIMIT');
    expect(test.agent.forked).to.deep.equal([]);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, () => team.fork(sandboxId, 3)),
    );
    const done = outcomes.filter(({ status }) => status === 'fulfilled');
    expect(done).to.have.length(Math.floor((TEAM_SANDBOXES_MAX - 1) / 3));
    expect(await team.list()).to.have.length(1 + 3 * done.length);
  });

  it('refuses a number beyond its range, and a sandbox that has ended', async () => {
    const { sandboxId } = await team.create();
    expect(await reasonOf(team.fork(sandboxId, 101))).to.equal('INVALID_REQUEST');
    test.agent.end(sandboxId, 'VMM_EXITED');
    await eventually(async () => {
      expect(await team.stateOf(sandboxId)).to.equal(SandboxState.SANDBOX_STATE_FAILED);
    });
    expect(await reasonOf(team.fork(sandboxId, 1))).to.equal('SANDBOX_STATE');
  });
});

function copiesOf({ results }: ForkSandboxResponse): Sandbox[] {
  return results.map(({ result }) => {
    if (result?.$case !== 'sandbox') throw new Error('a copy failed');
    return result.value;
  });
}
