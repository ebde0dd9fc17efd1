import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect } from 'chai';
import type { MachineRecord } from '../../agent/vmm/driver.js';
import { identifyProcess } from '../../agent/vmm/launch/process-table.js';
import { machineName } from '../../agent/vmm/qemu/command-line.js';
import { packageRoot } from '../../lib/files/package-root.js';
import { eventually } from '../support/eventually.js';
import { requireNeed } from '../support/requirements.js';
import type { AgentToKill } from './agent-to-kill.js';
import { QemuFixture } from './qemu-fixture.js';
import { describeVmmDriver } from './vmm-driver.js';

const GUEST_READY_TIMEOUT_MS = 180_000;

async function createFixture(context: Mocha.Context): Promise<QemuFixture> {
  requireNeed(context, 'root', 'qemu', 'images', 'netns');
  return QemuFixture.create();
}

/** Boots a machine in another process and kills that process, and nothing else. */
async function bootInProcessToKill(plan: AgentToKill): Promise<MachineRecord> {
  const script = join(packageRoot(), 'test', 'conformance', 'agent-to-kill.ts');
  const agent = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(plan)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(agent, 'exit');
  const [output] = (await Promise.race([once(agent.stdout, 'data'), ended])) as [unknown];
  if (!Buffer.isBuffer(output)) throw new Error('the process booted no machine');
  agent.kill('SIGKILL');
  await ended;
  return JSON.parse(output.toString()) as MachineRecord;
}

describeVmmDriver('qemu', createFixture);

describe('QEMU driver', () => {
  let fixture: QemuFixture;

  before(async function () {
    fixture = await createFixture(this);
  });

  after(() => fixture?.close());

  it('gives QEMU’s own words as the cause of a boot that fails', async () => {
    const spec = fixture.broken(await fixture.makeSpec());

    const error: unknown = await fixture.driver
      .boot(spec, async () => undefined, new AbortController().signal)
      .catch((thrown: unknown) => thrown);

    const cause = (error as Error).cause as Error;
    expect(cause.message).to.include(spec.kernel.path);
  });

  it('gives the launcher’s words when the namespace is gone', async () => {
    const spec = await fixture.makeSpec();
    const network = { ...spec.network, namespace: 'wt-none' };

    const error: unknown = await fixture.driver
      .boot({ ...spec, network }, async () => undefined, new AbortController().signal)
      .catch((thrown: unknown) => thrown);

    expect(((error as Error).cause as Error).message).to.include('wt-none');
    expect(await fixture.leftovers(spec)).to.deep.equal([]);
  });

  it('finds a machine again whose agent was killed, with its guest going on', async function () {
    this.timeout(GUEST_READY_TIMEOUT_MS * 2);
    const spec = await fixture.makeSpec();
    const record = await bootInProcessToKill({ options: fixture.driverOptions(), spec });

    const machine = await fixture.driver.recover(record);

    expect(machine?.record).to.deep.equal(record);
    await eventually(() => fixture.checkHealth(record.guestTarget), {
      timeoutMs: GUEST_READY_TIMEOUT_MS,
      pauseMs: 250,
    });
    expect(await machine?.readConsole()).not.to.equal('');
    await machine?.destroy();
    expect(await fixture.leftovers(spec)).to.deep.equal([]);
  });

  it('sweeps a launch that was cut off before it reached its cgroup', async () => {
    const plant = (instanceId: string) => {
      const name = machineName(instanceId, 'planted1');
      return spawn('sh', ['-c', 'read line', 'vmm', '-name', name]);
    };
    const own = plant(fixture.instanceId);
    const foreign = plant(`${fixture.instanceId}y`);
    try {
      const pidOf = (child: typeof own) => child.pid ?? 0;
      await eventually(async () => {
        for (const child of [own, foreign])
          expect(await identifyProcess(pidOf(child))).to.be.an('object');
      });

      const removed = await fixture.driver.sweep([]);

      expect(removed).to.have.length(1);
      expect(await identifyProcess(pidOf(own))).to.equal(undefined);
      expect(await identifyProcess(pidOf(foreign))).to.be.an('object');
    } finally {
      own.kill('SIGKILL');
      foreign.kill('SIGKILL');
    }
  });
});
