/**
 * `npm run bench -- stop-window`: how long a guest stands still while a snapshot
 * of it is made, against a bare stop, save of the device state and go-on by
 * hand. The guest always has work, and what it gets done is seen from outside.
 */
import { join } from 'node:path';
import { randomId } from '../lib/ids/random-id.js';
import { run } from '../lib/process/run.js';
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
import { withWorkFolder } from './work-folder.js';

const ROUNDS_DEFAULT = 11;
const WARM_UP_ROUNDS_DEFAULT = 1;
const CALL_TIMEOUT_MS = 60_000;

const BARE_SAVE = 'bare stop, save, cont';
const IDLE = 'snapshot, little written';
const WRITTEN_MIB = 16;
const WRITTEN = `snapshot, ${WRITTEN_MIB} MiB written before`;

/** Goes on until it is given up. */
const BUSY: FirstCommand = { cmd: 'sh', args: ['-c', 'while :; do :; done'] };
/** Memory of the machine that is run by hand, as the platform's machines have it. */
const MEMORY_FOLDER = '/dev/shm';
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
  const { progress, signal } = context;
  progress.show('starting a machine by hand, and a sandbox');
  await buildAnchors(signal);
  await makeTemplate(platform, signal);
  const files = await readOnlyGeneration(platform.config.stateDirectory, 'warm');
  await using link = await openGuestLink();
  return await withWorkFolder(async (folder) => {
    const memoryCopyPath = join(folder, 'memory');
    await run('cp', ['--sparse=always', files.memoryPaths[0] ?? '', memoryCopyPath]);
    const directory = join(folder, 'machine');
    const bare = { directory, files, accelerator, tapName: link.tapName, memoryCopyPath };
    await using machine = (await restoreByHand(bare, signal)).machine;
    return await measureArms(platform, bareArm(machine, directory), context);
  }, MEMORY_FOLDER);
}

async function measureArms(
  platform: BenchPlatform,
  byHand: Pick<Arm, 'measure'>,
  context: BenchContext,
): Promise<Findings> {
  const { options, signal } = context;
  const { count = ROUNDS_DEFAULT, warmUp = WARM_UP_ROUNDS_DEFAULT } = options;
  const sandboxId = randomId();
  await createAtAgent(platform.agent, { sandboxId }, signal);
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
      const save = () => saveByHand(machine.qmp, folder);
      return await whileBusy(
        (over) => machine.guest.exec(BUSY.cmd, BUSY.args, over),
        () => standstillDuring(machine.pid, save),
        signal,
      );
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
    const snapshotId = randomId();
    const pid = await vmmOf(sandboxId);
    const snapshot = () => agent.createSnapshot({ sandboxId, snapshotId, name: 'bench' }, options);
    const standstillMs = await whileBusy(
      (over) => execAtAgent(agent, sandboxId, BUSY, over),
      () => standstillDuring(pid, snapshot),
      signal,
    );
    steps.push(await log.stepsOf('sandbox frozen', sandboxId));
    await agent.deleteSnapshot({ snapshotId }, options);
    return standstillMs;
  };
}

/** @param keepBusy runs something in the guest until its signal aborts. */
async function whileBusy<T>(
  keepBusy: (over: AbortSignal) => Promise<unknown>,
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const over = new AbortController();
  const busy = keepBusy(AbortSignal.any([signal, over.signal])).catch((error: unknown) => {
    if (!over.signal.aborted) throw error;
  });
  const result = await Promise.race([work(), busy.then(endedEarly)]);
  over.abort();
  await busy;
  return result;
}

function endedEarly(): never {
  throw new Error('the guest has ended what keeps it busy');
}

/** All steps, and those of the window together. */
function withWindow(steps: StepTimes): StepTimes {
  const window = WINDOW.reduce((sum, step) => sum + (steps[step] ?? 0), 0);
  return { ...steps, 'the window together': window };
}
