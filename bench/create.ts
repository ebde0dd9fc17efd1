/**
 * `npm run bench -- create`: from nothing to the result of a first command in a
 * sandbox of a warm template, against the same restore by hand with bare QEMU
 * and QMP, from the same files and over the same kind of connection.
 */
import { randomId } from '../lib/ids/random-id.js';
import { AgentLog, medianSteps, type StepTimes } from './agent-log.js';
import { readOnlyGeneration } from './generation-files.js';
import { openGuestLink } from './guest-link.js';
import { type BenchContext, measure } from './measure.js';
import type { BenchPlatform } from './platform.js';
import { acceleratorOf, type Findings, withPlatform } from './platform-run.js';
import type { BenchReport } from './report.js';
import {
  AGENT_RESTORE,
  agentRestore,
  BARE_RESTORE,
  bareRestore,
  createAtAgent,
  destroyAtAgent,
  publicRestore,
  readRestores,
} from './restore-arms.js';
import { AGAIN } from './rounds.js';

const ROUNDS_DEFAULT = 15;
const WARM_UP_ROUNDS_DEFAULT = 2;

export function benchCreate(context: BenchContext): Promise<BenchReport> {
  return withPlatform('bench/create.ts', context, (platform, machine) =>
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
  progress.show('making a warm template');
  await makeTemplate(platform, signal);
  const { stateDirectory } = platform.config;
  const files = await readOnlyGeneration(stateDirectory, 'warm');
  await using link = await openGuestLink();
  const bare = { files, accelerator, tapName: link.tapName };
  const byHand: StepTimes[] = [];
  const byAgent: StepTimes[] = [];
  const group = await measure(
    {
      title: 'From nothing to the result of a first command, warm template',
      arms: [
        bareRestore(BARE_RESTORE, bare, platform, byHand),
        bareRestore(AGAIN, bare, platform),
        agentRestore(AGENT_RESTORE, platform, {
          inspect: readRestores(new AgentLog(stateDirectory), byAgent),
        }),
        publicRestore(platform),
      ],
      baselines: [BARE_RESTORE],
      rounds: count,
      warmUpRounds: warmUp,
    },
    context,
  );
  const counts = [
    ...medianSteps('by hand, reached', byHand.slice(warmUp)),
    ...medianSteps('agent, step', byAgent.slice(warmUp)),
  ];
  return { groups: [group], counts };
}

/** The first create of a shape makes its template. */
export async function makeTemplate({ agent }: BenchPlatform, signal: AbortSignal): Promise<void> {
  const sandboxId = randomId();
  await createAtAgent(agent, { sandboxId }, signal);
  await destroyAtAgent(agent, sandboxId, signal);
}
