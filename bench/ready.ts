/**
 * `npm run bench -- ready`: as bench/create.ts, with a machine that stands ready
 * for each create. Nothing is timed while the next one is made.
 */
import { AgentLog } from './agent-log.js';
import { makeTemplate } from './create.js';
import { readOnlyGeneration } from './generation-files.js';
import { openGuestLink } from './guest-link.js';
import { type BenchContext, measure } from './measure.js';
import type { BenchPlatform } from './platform.js';
import { acceleratorOf, type Findings, withPlatform } from './platform-run.js';
import type { BenchReport } from './report.js';
import { agentRestore, BARE_RESTORE, bareRestore } from './restore-arms.js';
import { AGAIN } from './rounds.js';

const ROUNDS_DEFAULT = 15;
const WARM_UP_ROUNDS_DEFAULT = 2;
const CLAIM = 'agent, with a machine that stands ready';
const READY = 'machine stands ready';

export function benchReady(context: BenchContext): Promise<BenchReport> {
  return withPlatform(
    'bench/ready.ts',
    context,
    (platform, machine) => compare(platform, acceleratorOf(machine), context),
    { WRENN_READY_MACHINES_MAX: '1' },
  );
}

async function compare(
  platform: BenchPlatform,
  accelerator: 'kvm' | 'tcg',
  context: BenchContext,
): Promise<Findings> {
  const { options, progress, signal } = context;
  const { count = ROUNDS_DEFAULT, warmUp = WARM_UP_ROUNDS_DEFAULT } = options;
  progress.show('making a warm template, and a machine of it ready');
  await makeTemplate(platform, signal);
  const { stateDirectory } = platform.config;
  const log = new AgentLog(stateDirectory);
  let made = 1;
  await log.waitFor(READY, made);
  const files = await readOnlyGeneration(stateDirectory, 'warm');
  await using link = await openGuestLink();
  const bare = { files, accelerator, tapName: link.tapName };
  const nextReady = async () => {
    made += 1;
    await log.waitFor(READY, made);
  };
  const group = await measure(
    {
      title: 'From nothing to the result of a first command, a machine stands ready',
      arms: [
        bareRestore(BARE_RESTORE, bare, platform),
        bareRestore(AGAIN, bare, platform),
        agentRestore(CLAIM, platform, { inspect: nextReady }),
      ],
      baselines: [BARE_RESTORE],
      rounds: count,
      warmUpRounds: warmUp,
    },
    context,
  );
  return { groups: [group] };
}
