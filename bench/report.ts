/** What a benchmark found, as `--json` prints it. */
import type { MachineFacts, Noise } from './machine.js';
import { type Arm, measureInTurns } from './rounds.js';
import { type Comparison, compare, type Summary, summarize } from './statistics.js';

export interface BenchReport {
  script: string;
  machine: MachineFacts;
  noise: Noise;
  groups: GroupReport[];
}

/** Arms that were measured in turns. */
export interface GroupReport {
  title: string;
  rounds: number;
  warm_up_rounds: number;
  arms: ArmReport[];
}

export interface ArmReport {
  name: string;
  /** Milliseconds. */
  summary: Summary;
  /** Name of the arm that this one is compared with. */
  baseline?: string;
  comparison?: Comparison;
  /** Milliseconds, in the order of the rounds. */
  samples_ms: number[];
}

export interface GroupPlan {
  title: string;
  arms: readonly Arm[];
  /** Name of the arm that the others are compared with. */
  baseline: string;
  rounds: number;
  warmUpRounds: number;
}

/** Measures a group. @param onRound hears of each round that is done, warm-up included. */
export async function measureGroup(
  plan: GroupPlan,
  signal: AbortSignal,
  onRound: (done: number) => void,
): Promise<GroupReport> {
  const samples = await measureInTurns(plan.arms, { ...plan, signal, onRound });
  return {
    title: plan.title,
    rounds: plan.rounds,
    warm_up_rounds: plan.warmUpRounds,
    arms: reportArms(plan, samples),
  };
}

function reportArms({ arms, baseline }: GroupPlan, samples: readonly number[][]): ArmReport[] {
  const base = samples[arms.findIndex(({ name }) => name === baseline)];
  if (!base) throw new Error(`no arm is called ${baseline}`);
  return arms.map(({ name }, index) => {
    const own = samples[index] ?? [];
    const report = { name, summary: summarize(own), samples_ms: own };
    return name === baseline ? report : { ...report, baseline, comparison: compare(own, base) };
  });
}
