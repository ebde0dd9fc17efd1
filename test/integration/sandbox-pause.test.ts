/** Pausing and resuming sandboxes, and what comes of calls that meet. */
import { expect } from 'chai';
import { ResumeMode, SandboxState, TimeoutAction } from '../../gen/ts/wrenn/v1/sandbox.js';
import { Code, type Reason, reasonNumber, WrennError } from '../../lib/errors/index.js';
import { useControlPlane } from '../support/control-plane.js';
import { eventually } from '../support/eventually.js';
import { untilAborted } from '../support/fake-host-agent.js';
import { gate } from '../support/gate.js';
import { reasonOf, rejectionOf } from '../support/rejection.js';
import { SandboxCalls } from '../support/sandbox-calls.js';

const { SANDBOX_STATE_RUNNING, SANDBOX_STATE_PAUSING, SANDBOX_STATE_PAUSED } = SandboxState;
const { SANDBOX_STATE_RESUMING, SANDBOX_STATE_DELETING } = SandboxState;
const RESUMES = 200;

/** What this suite looks at in JSON answers. */
interface Answer {
  state?: string;
  type?: string;
  generation_id?: string;
  timeout_sec?: number;
  sandbox?: { state: string };
  generations?: unknown[];
  results?: unknown[];
  snapshots?: unknown[];
}

describe('pausing and resuming', () => {
  const test = useControlPlane({ environment: { WRENN_RECONCILE_INTERVAL_MS: '100' } });
  let team: SandboxCalls;
  beforeEach(async () => {
    team = new SandboxCalls(() => test.clients, await test.signUp());
  });
  afterEach(() => test.agent.reset());

  it('lead there and back, and tell the host the generation of each command', async () => {
    const { sandboxId, startedAt, pausedAt: never } = await team.create();
    expect(never).to.equal(undefined);

    const paused = await team.pause(sandboxId);
    expect(paused).to.include({ state: SANDBOX_STATE_PAUSED, guestIp: '', hostIp: '' });
    expect(paused.stateReason).to.equal(reasonNumber('UNSPECIFIED'));
    expect(paused.pausedAt).to.not.equal(undefined);
    expect(await team.get(sandboxId)).to.deep.equal(paused);

    const { sandbox: resumed, steps } = await team.resume(sandboxId);
    expect(resumed).to.include({ state: SANDBOX_STATE_RUNNING, guestIp: '10.192.0.2' });
    expect([resumed?.startedAt, resumed?.pausedAt]).to.deep.equal([startedAt, paused.pausedAt]);
    expect(steps.map(({ name }) => name)).to.deep.equal(['wall_clock']);
    await team.exec(sandboxId);

    expect(test.agent.paused).to.deep.equal([{ sandboxId, generation: 2 }]);
    expect(test.agent.resumed).to.deep.equal([{ sandboxId, generation: 3, cold: false }]);
  });

  it('work over HTTP, and so do forks, timeouts, generations and snapshots', async () => {
    const account = await test.signUp();
    const { sandboxId } = await new SandboxCalls(() => test.clients, account).create();
    const call = async (path: string, body?: object) => {
      const response = await fetch(`http://${test.controlPlane.httpAddress}/v1/${path}`, {
        method: body ? 'POST' : 'GET',
        headers: { 'x-api-key': account.key, 'content-type': 'application/json' },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
      return { status: response.status, json: (await response.json()) as Answer };
    };
    const own = `sandboxes/${sandboxId}`;
    const paused = await call(`${own}/pause`, {});
    expect(paused).to.deep.include({ status: 200 });
    expect(paused.json).to.include({ state: 'SANDBOX_STATE_PAUSED' });
    expect((await call(`${own}/generations`)).json.generations).to.have.length(1);
    expect((await call(`${own}/generations/verify`, {})).json.generation_id).to.equal(
      'generation0',
    );
    const resumed = await call(`${own}/resume`, { mode: 'RESUME_MODE_COLD' });
    expect(resumed.json.sandbox?.state).to.equal('SANDBOX_STATE_RUNNING');
    expect((await call(`${own}/timeout`, { timeout_sec: 9 })).json.timeout_sec).to.equal(9);
    expect((await call(`${own}/fork`, { count: 2 })).json.results).to.have.length(2);
    const snapshot = await call('snapshots', { sandbox_id: sandboxId, name: 'over-http' });
    expect(snapshot.json.type).to.equal('SNAPSHOT_TYPE_SNAPSHOT');
    expect((await call('snapshots')).json.snapshots).to.have.length(2);
    test.agent.script.beforePause = fail('HOST_DISK_FULL');
    expect((await call(`${own}/pause`, {})).status).to.equal(507);
  });

  it('are no error for a sandbox that is there already, and ask the host for nothing', async () => {
    const { sandboxId } = await team.create();
    const { sandbox, steps } = await team.resume(sandboxId);
    expect([sandbox?.state, steps]).to.deep.equal([SANDBOX_STATE_RUNNING, []]);
    const paused = await team.pause(sandboxId);
    expect(await team.pause(sandboxId)).to.deep.equal(paused);
    expect([test.agent.paused.length, test.agent.resumed.length]).to.deep.equal([1, 0]);
  });

  it('never run a command in a paused sandbox', async () => {
    const { sandboxId } = await team.create();
    await team.pause(sandboxId);
    for (const call of [() => team.exec(sandboxId), () => team.ping(sandboxId)]) {
      const error = await rejectionOf(call());
      expect([error.code, error.reason]).to.deep.equal([Code.FAILED_PRECONDITION, 'SANDBOX_STATE']);
      expect(error.metadata).to.include({ state: 'PAUSED', sandbox_id: sandboxId });
    }
  });

  it('never destroy a sandbox whose timeout passes while it is paused by its user', async () => {
    const { sandboxId } = await team.create({ timeoutSec: 1 });
    test.agent.script.beforePause = async () => test.agent.expire(sandboxId);
    expect((await team.pause(sandboxId)).state).to.equal(SANDBOX_STATE_PAUSED);
    test.agent.expire(sandboxId);
    await team.resume(sandboxId);
    await team.exec(sandboxId);
    expect(test.agent.destroyed).to.deep.equal([]);
  });

  it('never lose a sandbox to two pauses at once: one does it, both get its answer', async () => {
    const { sandboxId } = await team.create();
    const { opened, open } = gate();
    test.agent.script.beforePause = () => opened;
    const both = [team.pause(sandboxId), team.pause(sandboxId)];
    await eventually(() => expect(test.agent.paused).to.have.length(1));
    open();
    const [one, two] = await Promise.all(both);
    expect(two).to.deep.equal(one);
    expect(one?.state).to.equal(SANDBOX_STATE_PAUSED);
    expect([test.agent.paused.length, test.agent.destroyed]).to.deep.equal([1, []]);
  });

  it('never leave a sandbox frozen, or told otherwise, when the caller of a pause goes away', async () => {
    const { sandboxId } = await team.create();
    const { opened, open } = gate();
    test.agent.script.beforePause = () => opened;
    const caller = new AbortController();
    const call = rejectionOf(team.pause(sandboxId, caller.signal));
    await eventually(() => expect(test.agent.paused).to.have.length(1));
    caller.abort();
    await call;
    expect(await team.stateOf(sandboxId)).to.equal(SANDBOX_STATE_PAUSING);
    open();
    await eventually(async () => {
      expect(await team.stateOf(sandboxId)).to.equal(SANDBOX_STATE_PAUSED);
    });
    await team.resume(sandboxId);
    await team.exec(sandboxId);
  });

  it('go on when the caller of a resume goes away', async () => {
    const { sandboxId } = await team.create();
    await team.pause(sandboxId);
    const { opened, open } = gate();
    test.agent.script.beforeResume = () => opened;
    const caller = new AbortController();
    const call = rejectionOf(team.resume(sandboxId, undefined, caller.signal));
    await eventually(() => expect(test.agent.resumed).to.have.length(1));
    caller.abort();
    await call;
    open();
    await eventually(async () => {
      expect(await team.stateOf(sandboxId)).to.equal(SANDBOX_STATE_RUNNING);
    });
  });

  it(`never make two machines of ${RESUMES} resumes at once: one call, one answer to all`, async () => {
    const { sandboxId } = await team.create();
    await team.pause(sandboxId);
    const { opened, open } = gate();
    test.agent.script.beforeResume = () => opened;
    const resumes = Array.from({ length: RESUMES }, () => team.resume(sandboxId));
    await eventually(() => expect(test.agent.resumed).to.have.length(1));
    open();
    const answers = await Promise.all(resumes);
    expect(test.agent.resumed).to.have.length(1);
    const states = answers.map(({ sandbox }) => sandbox?.state);
    expect(new Set(states)).to.deep.equal(new Set([SANDBOX_STATE_RUNNING]));
  });

  it('answer with the state while the opposite is under way', async () => {
    const { sandboxId } = await team.create();
    const { opened: pausable, open: letPause } = gate();
    const { opened: resumable, open: letResume } = gate();
    test.agent.script.beforePause = () => pausable;
    test.agent.script.beforeResume = () => resumable;
    const pausing = team.pause(sandboxId);
    await eventually(() => expect(test.agent.paused).to.have.length(1));
    await expectState(team.resume(sandboxId), 'PAUSING');
    letPause();
    await pausing;

    const resuming = team.resume(sandboxId);
    await eventually(() => expect(test.agent.resumed).to.have.length(1));
    expect(await team.stateOf(sandboxId)).to.equal(SANDBOX_STATE_RESUMING);
    await expectState(team.pause(sandboxId), 'RESUMING');
    letResume();
    await resuming;
  });

  for (const reason of ['PAUSE_FAILED', 'HOST_DISK_FULL'] as const) {
    it(`leave a running, usable sandbox when a pause fails with ${reason}`, async () => {
      const before = await team.create();
      const { sandboxId } = before;
      test.agent.script.beforePause = fail(reason);
      expect(await reasonOf(team.pause(sandboxId))).to.equal(reason);
      const after = await team.get(sandboxId);
      expect(after).to.include({ state: SANDBOX_STATE_RUNNING, guestIp: before.guestIp });
      await team.exec(sandboxId);
      test.agent.script.beforePause = async () => undefined;
      await team.pause(sandboxId);
    });
  }

  for (const reason of ['RESTORE_FAILED', 'HOST_EXHAUSTED', 'SNAPSHOT_INCOMPATIBLE'] as const) {
    it(`leave a paused sandbox that can be resumed again when a resume fails with ${reason}`, async () => {
      const { sandboxId } = await team.create();
      const { pausedAt } = await team.pause(sandboxId);
      test.agent.script.beforeResume = fail(reason);
      expect(await reasonOf(team.resume(sandboxId))).to.equal(reason);
      const after = await team.get(sandboxId);
      expect([after.state, after.pausedAt]).to.deep.equal([SANDBOX_STATE_PAUSED, pausedAt]);
      test.agent.script.beforeResume = async () => undefined;
      await team.resume(sandboxId);
      await team.exec(sandboxId);
    });
  }

  it('keep a sandbox whose snapshot is damaged, name the file, and boot it from its disk', async () => {
    const { sandboxId } = await team.create();
    await team.pause(sandboxId);
    const damaged = fail('SNAPSHOT_DAMAGED', { artifact: 'memfile.k4x2' });
    test.agent.script.verify = damaged;
    test.agent.script.beforeResume = async ({ cold }) => {
      if (!cold) await damaged();
    };
    for (const call of [() => team.resume(sandboxId), () => team.verify(sandboxId)]) {
      const error = await rejectionOf(call());
      expect([error.code, error.reason]).to.deep.equal([Code.DATA_LOSS, 'SNAPSHOT_DAMAGED']);
      expect(error.metadata.artifact).to.equal('memfile.k4x2');
    }
    expect(await team.stateOf(sandboxId)).to.equal(SANDBOX_STATE_PAUSED);
    const { sandbox } = await team.resume(sandboxId, ResumeMode.RESUME_MODE_COLD);
    expect(sandbox?.state).to.equal(SANDBOX_STATE_RUNNING);
    expect(test.agent.resumed.at(-1)?.cold).to.equal(true);
  });

  it('delete a damaged, paused sandbox on the host, too', async () => {
    const { sandboxId } = await team.create();
    await team.pause(sandboxId);
    test.agent.script.beforeResume = fail('SNAPSHOT_DAMAGED');
    await rejectionOf(team.resume(sandboxId));
    await team.remove(sandboxId);
    expect(test.agent.sandboxes.has(sandboxId)).to.equal(false);
    expect(await team.list()).to.deep.equal([]);
  });

  it('let a delete win over a resume, and over a pause', async () => {
    for (const step of ['resume', 'pause'] as const) {
      const { sandboxId } = await team.create();
      if (step === 'resume') await team.pause(sandboxId);
      test.agent.paused.length = 0;
      const { opened, open } = gate();
      test.agent.script.beforeResume = (_request, destroyed) => untilAborted(destroyed);
      test.agent.script.beforePause = () => opened;
      const call = rejectionOf(team[step](sandboxId));
      await eventually(() => {
        expect(test.agent.paused.length + test.agent.resumed.length).to.be.greaterThan(0);
      });
      await team.remove(sandboxId);
      open();
      const error = await call;
      expect([error.code, error.reason]).to.deep.equal([Code.ABORTED, 'SANDBOX_CONFLICT']);
      expect(await reasonOf(team.get(sandboxId))).to.equal('SANDBOX_NOT_FOUND');
      expect(test.agent.sandboxes.has(sandboxId)).to.equal(false);
      test.agent.reset();
    }
  });

  it('refuse a sandbox that is going', async () => {
    const { sandboxId } = await team.create();
    const { opened, open } = gate();
    test.agent.script.beforeDestroy = () => opened;
    const removing = team.remove(sandboxId);
    await eventually(async () => {
      expect(await team.stateOf(sandboxId)).to.equal(SANDBOX_STATE_DELETING);
    });
    await expectState(team.pause(sandboxId), 'DELETING');
    await expectState(team.resume(sandboxId), 'DELETING');
    open();
    await removing;
  });

  it('change nothing when the host is away from the start', async () => {
    const { sandboxId } = await team.create();
    await test.agent.stop();
    try {
      expect(await reasonOf(team.pause(sandboxId))).to.equal('HOST_UNAVAILABLE');
      expect(await team.stateOf(sandboxId)).to.equal(SANDBOX_STATE_RUNNING);
    } finally {
      await test.agent.start();
    }
    await eventually(() => team.exec(sandboxId));
  });

  it('pause on the timeout what asked for it, and say so to the host at each change', async () => {
    const onTimeout = TimeoutAction.TIMEOUT_ACTION_PAUSE;
    const created = await team.create({ timeoutSec: 60, onTimeout });
    const { sandboxId } = created;
    expect(created).to.include({ timeoutSec: 60, onTimeout });
    expect(test.agent.created.at(-1)).to.include({ timeoutSec: 60, pauseOnTimeout: true });

    expect(await team.setTimeout(sandboxId, 90)).to.include({ timeoutSec: 90, onTimeout });
    expect(test.agent.sandboxes.get(sandboxId)).to.include({
      ...{ timeoutSec: 90, pauseOnTimeout: true },
    });
    const deleting = TimeoutAction.TIMEOUT_ACTION_DELETE;
    await team.setTimeout(sandboxId, 0, deleting);
    expect(await team.get(sandboxId)).to.include({ timeoutSec: 0, onTimeout: deleting });
    expect(test.agent.sandboxes.get(sandboxId)).to.include({
      ...{ timeoutSec: 0, pauseOnTimeout: false },
    });
    await team.pause(sandboxId);
    expect(await team.setTimeout(sandboxId, 5)).to.include({
      ...{ timeoutSec: 5, state: SANDBOX_STATE_PAUSED },
    });
  });

  it('delete on the timeout what asked for nothing', async () => {
    const { onTimeout } = await team.create();
    expect(onTimeout).to.equal(TimeoutAction.TIMEOUT_ACTION_DELETE);
    expect(test.agent.created.at(-1)?.pauseOnTimeout).to.equal(false);
  });

  it('show and verify the generations that pauses leave', async () => {
    const { sandboxId } = await team.create();
    for (let pause = 0; pause < 2; pause += 1) {
      await team.pause(sandboxId);
      await team.resume(sandboxId);
    }
    const { generations } = await team.generations(sandboxId);
    expect(generations.map(({ generationId }) => generationId)).to.deep.equal([
      ...['generation0', 'generation1'],
    ]);
    expect(generations[0]).to.include({ memoryBytes: 4096, diskBytes: 8192 });
    expect(await team.verify(sandboxId)).to.deep.equal({
      ...{ generationId: 'generation1', verifiedBytes: 4096 },
    });
  });

  function fail(reason: Reason, metadata: Record<string, string> = {}) {
    return async () => {
      throw new WrennError(Code.UNKNOWN, reason, 'agent text', { metadata });
    };
  }

  async function expectState(call: Promise<unknown>, state: string): Promise<void> {
    const error = await rejectionOf(call);
    expect([error.code, error.reason]).to.deep.equal([Code.FAILED_PRECONDITION, 'SANDBOX_STATE']);
    expect(error.metadata.state).to.equal(state);
  }
});
