/**
 * Processes of a real platform with real virtual machines are killed, one kind
 * at a time. Afterwards running sandboxes answer, and everything on the machine
 * belongs to a sandbox of the database.
 */
import { expect } from 'chai';
import { ErrorReason } from '../../gen/ts/wrenn/v1/errors.js';
import { SandboxState } from '../../gen/ts/wrenn/v1/sandbox.js';
import {
  CENSUS_KINDS,
  type Census,
  type CensusKind,
  KEPT_KINDS,
} from '../support/census/census.js';
import { eventually } from '../support/eventually.js';
import { TestPlatform } from '../support/platform.js';
import { requireNeed } from '../support/requirements.js';

/** What a person calls within seconds. */
const SECONDS_MS = 10_000;
const RESTART_TIMEOUT_MS = 90_000;

/** What sandboxes hold on the machine, as opposed to what the daemons hold. */
const SANDBOX_KINDS: CensusKind[] = ['namespace', 'link', 'cgroup', 'ledger entry'];

const ofSandboxes = (census: Census) => SANDBOX_KINDS.map((kind) => [kind, census[kind]]);

describe('a platform whose processes are killed', function () {
  this.timeout(300_000);
  let platform: TestPlatform;
  let sandboxId: string;
  let vmmPid: number;
  let baseline: Census;

  before(function () {
    requireNeed(this, 'root', 'qemu', 'images', 'netns');
  });

  beforeEach(async () => {
    platform = await TestPlatform.start();
    ({ sandboxId } = await platform.client.sandboxes.create());
    vmmPid = await platform.vmmPid(sandboxId);
    baseline = await platform.census();
  });

  afterEach(async () => {
    await platform?.[Symbol.asyncDispose]();
  });

  /** The same virtual machine answers, and nothing else of a sandbox is on the machine. */
  const expectUnharmed = async () => {
    await platform.answers(sandboxId, RESTART_TIMEOUT_MS);
    expect(await platform.vmmPid(sandboxId)).to.equal(vmmPid);
    await eventually(async () =>
      expect(ofSandboxes(await platform.census())).to.deep.equal(ofSandboxes(baseline)),
    );
    expect((await platform.get(sandboxId)).state).to.equal(SandboxState.SANDBOX_STATE_RUNNING);
  };

  it('takes the sandbox over after the agent was killed, and a boot under way leaves nothing', async () => {
    const booting = platform.client.sandboxes.create().then(
      () => 'created',
      () => 'failed',
    );
    await eventually(async () => {
      const { namespace } = await platform.census();
      expect(namespace.length).to.be.greaterThan(baseline.namespace.length);
    });
    const pid = platform.pid('agent');
    platform.kill('agent');
    expect(await booting).to.equal('failed');
    await eventually(() => expect(platform.pid('agent')).not.to.equal(pid), {
      timeoutMs: RESTART_TIMEOUT_MS,
    });
    await expectUnharmed();
  });

  it('goes on after the control plane and the database were killed', async () => {
    for (const part of ['control plane', 'postgres'] as const) {
      const pid = platform.pid(part);
      platform.kill(part);
      await eventually(() => expect(platform.pid(part), part).not.to.equal(pid), {
        timeoutMs: RESTART_TIMEOUT_MS,
      });
      await expectUnharmed();
    }
  });

  it('ends with its supervisor, except for the sandbox, which the next start takes over', async () => {
    platform.kill('up');
    await platform.ended();
    await eventually(() => {
      const daemons = platform
        .processes()
        .filter(({ command }) => /dist\/(agent|src)|native\/bin/.test(command));
      expect(daemons).to.deep.equal([]);
    });
    await platform.up();
    await expectUnharmed();
  });

  it('leaves the sandbox running at Ctrl-C, and the next start takes it over', async () => {
    platform.kill('up', 'SIGINT');
    await platform.ended();
    const rest = platform.processes().map(({ pid }) => pid);
    expect(rest).to.deep.equal([vmmPid]);
    await platform.up();
    await expectUnharmed();
  });

  it('tells within seconds that a VMM was killed, with a typed reason, and harms no other sandbox', async () => {
    const victim = await platform.client.sandboxes.create();
    process.kill(await platform.vmmPid(victim.sandboxId), 'SIGKILL');
    await eventually(
      async () => {
        const { state, stateReason } = await platform.get(victim.sandboxId);
        expect({ state, stateReason }).to.deep.equal({
          state: SandboxState.SANDBOX_STATE_FAILED,
          stateReason: ErrorReason.ERROR_REASON_VMM_EXITED,
        });
      },
      { timeoutMs: SECONDS_MS },
    );
    await expectUnharmed();
  });

  it('leaves another instance on the same machine alone', async () => {
    const other = await TestPlatform.start();
    try {
      const neighbour = await other.client.sandboxes.create();
      const neighbourPid = await other.vmmPid(neighbour.sandboxId);
      platform.kill('agent');
      await expectUnharmed();
      platform.kill('up');
      await platform.ended();
      await platform.up();
      await expectUnharmed();
      await other.answers(neighbour.sandboxId);
      expect(await other.vmmPid(neighbour.sandboxId)).to.equal(neighbourPid);
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  it('has nothing left on the machine once it is down', async () => {
    expect((await platform.wrenn('down', '--yes')).exitCode).to.equal(0);
    await platform.ended();
    const after = await platform.census();
    for (const kind of CENSUS_KINDS) {
      if (!KEPT_KINDS.includes(kind)) expect(after[kind], kind).to.deep.equal([]);
    }
    await platform.up();
  });
});
