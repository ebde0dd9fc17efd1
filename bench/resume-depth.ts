/**
 * `npm run bench -- resume-depth`: the same guest, restored from a chain as long
 * as chains get, and from short ones: time to the result of a first command, and
 * page faults until then.
 */
import {
  type DepthSnapshot,
  type Depths,
  makeDepths,
  WORKING_SET,
  WORKING_SET_MIB,
} from './chain-depths.js';
import { type BenchContext, measure } from './measure.js';
import type { BenchPlatform } from './platform.js';
import { acceleratorOf, type Findings, withPlatform } from './platform-run.js';
import type { BenchReport, CountReport, GroupPlan } from './report.js';
import { agentRestore, type FirstCommand, TRUE } from './restore-arms.js';
import { AGAIN, type Arm } from './rounds.js';
import { summarize } from './statistics.js';
import { pageFaults, vmmOf } from './vmm-process.js';

const ROUNDS_DEFAULT = 11;
const WARM_UP_ROUNDS_DEFAULT = 1;
const READ_ALL: FirstCommand = { cmd: 'dd', args: [`if=${WORKING_SET}`, 'of=/dev/null', 'bs=1M'] };

export function benchResumeDepth(context: BenchContext): Promise<BenchReport> {
  return withPlatform('bench/resume-depth.ts', context, (platform, machine) => {
    acceleratorOf(machine);
    return compare(platform, context);
  });
}

async function compare(platform: BenchPlatform, context: BenchContext): Promise<Findings> {
  const { progress, signal } = context;
  progress.show('pausing and resuming a sandbox');
  const depths = await makeDepths(platform, () => undefined, signal);
  const findings: Required<Findings> = { groups: [], counts: [] };
  const commands = [
    { what: 'true', command: TRUE },
    { what: `reads ${WORKING_SET_MIB} MiB of memory`, command: READ_ALL },
  ];
  for (const { what, command } of commands) {
    const faults = new Map<string, number[]>();
    const plan = planOf(platform, depths, command, faults, context);
    findings.groups.push(
      await measure(
        { ...plan, title: `Restore to the result of a first command: ${what}` },
        context,
      ),
    );
    findings.counts.push(...faultCounts(what, faults));
  }
  return findings;
}

function planOf(
  platform: BenchPlatform,
  { flat, shallow, deepest }: Depths,
  command: FirstCommand,
  faults: Map<string, number[]>,
  { options }: BenchContext,
): Omit<GroupPlan, 'title'> {
  const { count = ROUNDS_DEFAULT, warmUp = WARM_UP_ROUNDS_DEFAULT } = options;
  const arm = (name: string, { snapshotId }: DepthSnapshot): Arm =>
    agentRestore(name, platform, {
      snapshotId,
      command,
      inspect: async (sandboxId) => {
        const own = faults.get(name) ?? [];
        own.push(await pageFaults(await vmmOf(sandboxId)));
        faults.set(name, own);
      },
    });
  const base = `depth ${flat.depth}, mapped file`;
  const chain = `depth ${shallow.depth}, page server`;
  return {
    arms: [
      arm(base, flat),
      arm(AGAIN, flat),
      arm(chain, shallow),
      arm(`depth ${deepest.depth}, page server`, deepest),
    ],
    baselines: [base, chain],
    rounds: count,
    warmUpRounds: warmUp,
  };
}

function faultCounts(what: string, faults: ReadonlyMap<string, number[]>): CountReport[] {
  return [...faults]
    .filter(([name]) => name !== AGAIN)
    .map(([name, counts]) => ({
      name: `page faults of the VMM, median, ${name}: ${what}`,
      value: summarize(counts).median,
    }));
}
