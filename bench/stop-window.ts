/**
 * `npm run bench -- stop-window`: how long a guest stands still while a snapshot
 * of it is made, against a bare stop, save of the device state and go-on by
 * hand. The guest always has work, and what it gets done is seen from outside.
 */
import { join } from 'node:path';
import { randomId } from '../lib/ids/random-id.js';
import { AgentLog, medianSteps, type StepTimes } from './agent-log.js';
import { buildAnchors } from './anchors.js';
import { type BareMachineRestored, restoreByHand } from './bare-restore.js';
import { saveByHand } from './bare-save.js';
import { makeTemplate } from './create.js';
import { readOnlyGeneration } from './generation-files.js';
import { openGuestLink } from './guest-link.js';
import { type BenchContext, measure } from './measure.js';
import type { BenchPlatform } from './platform.js';
import { acceleratorOf, type Findings, withPlatform } from './platform-run.js';
import type { BenchReport } from './report.js';
import { createAtAgent, destroyAtAgent, execAtAgent, type FirstCommand } from './restore-arms.js';
import { AGAIN, type Arm } from './rounds.js';
import { standstillDuring } from './standstill.js';
import { vmmOf } from './vmm-process.js';

const ROUNDS_DEFAULT = 11;
const WARM_UP_ROUNDS_DEFAULT = 1;
const CALL_TIMEOUT_MS = 60_000;

const BARE_SAVE = 'bare stop, save, cont';
const IDLE = 'snapshot, little written';
const WRITTEN_MIB = 16;
const WRITTEN = `snapshot, ${WRITTEN_MIB} MiB written before`;

/** Goes on for longer than a snapshot takes, also on a busy machine. */
const BUSY: FirstCommand = {
  cmd: 'sh',
  args: ['-c', 'timeout 3 sh -c "while :; do :; done" || true'],
};
const WRITE: FirstCommand = {
  cmd: 'dd',
  args: ['if=/dev/urandom', 'of=/dev/shm/written', 'bs=1M', `count=${WRITTEN_MIB}`],
};
/** Steps of a snapshot during which the machine stands still. */
const WINDOW = ['stop', 'state', 'memory', 'disk', 'run'];

export function benchStopWindow(context: BenchContext): Promise<BenchReport> {
  return withPlatform('bench/stop-window.ts', context, (platform, machine) =>
    compare(platform, acceleratorOf(machine), context),
  );
}

async function compare(
  platform: BenchPlatform,
  accelerator: 'kvm' | 'tcg',
  context: BenchContext,
): Promise<Findings> {
  const { options, progress, signal } = context;
  const { count = ROUNDS_DEFAULT, warmUp = WARM_UP_ROUNDS_DEFAULT } = options;
  progress.show('starting a machine by hand, and a sandbox');
  await buildAnchors(signal);
  await makeTemplate(platform, signal);
  const files = await readOnlyGeneration(platform.config.stateDirectory, 'warm');
  await using link = await openGuestLink();
  const directory = join(platform.config.runDirectory, 'bare-save');
  const bare = { directory, files, accelerator, tapName: link.tapName };
  await using machine = (await restoreByHand(bare, signal)).machine;
  const sandboxId = randomId();
  await createAtAgent(platform.agent, { sandboxId }, signal);

  const byHand = bareArm(machine, directory);
  const idle: StepTimes[] = [];
  const written: StepTimes[] = [];
  const group = await measure(
    {
      title: 'A guest stands still',
      arms: [
        { name: BARE_SAVE, ...byHand },
        { name: AGAIN, ...byHand },
        { name: IDLE, measure: snapshotArm(platform, sandboxId, undefined, idle) },
        { name: WRITTEN, measure: snapshotArm(platform, sandboxId, WRITE, written) },
      ],
      baselines: [BARE_SAVE],
      rounds: count,
      warmUpRounds: warmUp,
    },
    context,
  );
  await destroyAtAgent(platform.agent, sandboxId, signal);
  const counts = [
    ...medianSteps(IDLE, idle.slice(warmUp).map(withWindow)),
    ...medianSteps(WRITTEN, written.slice(warmUp).map(withWindow)),
  ];
  return { groups: [group], counts };
}

function bareArm(machine: BareMachineRestored, folder: string): Pick<Arm, 'measure'> {
  return {
    measure: async (signal) => {
      const busy = machine.guest.exec(BUSY.cmd, BUSY.args, signal);
      const save = () => saveByHand(machine.qmp, folder);
      const standstillMs = await standstillDuring(machine.pid, save);
      await busy;
      return standstillMs;
    },
  };
}

function snapshotArm(
  { agent, config }: BenchPlatform,
  sandboxId: string,
  before: FirstCommand | undefined,
  steps: StepTimes[],
): Arm['measure'] {
  const log = new AgentLog(config.stateDirectory);
  return async (signal) => {
    const options = { timeoutMs: CALL_TIMEOUT_MS, signal };
    if (before) await execAtAgent(agent, sandboxId, before, signal);
    const busy = execAtAgent(agent, sandboxId, BUSY, signal);
    const snapshotId = randomId();
    const request = { sandboxId, snapshotId, name: 'bench' };
    const standstillMs = await standstillDuring(await vmmOf(sandboxId), () =>
      agent.createSnapshot(request, options),
    );
    await busy;
    steps.push(await log.stepsOf('sandbox frozen', sandboxId));
    await agent.deleteSnapshot({ snapshotId }, options);
    return standstillMs;
  };
}

/** All steps, and those of the window together. */
function withWindow(steps: StepTimes): StepTimes {
  const window = WINDOW.reduce((sum, step) => sum + (steps[step] ?? 0), 0);
  return { ...steps, 'the window together': window };
}
