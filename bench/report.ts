/** What a benchmark found, as `--json` prints it. */
import type { MachineFacts, Noise } from './machine.js';
import { type Arm, measureInTurns } from './rounds.js';
import { type Comparison, compare, type Summary, summarize } from './statistics.js';

export interface BenchReport {
  script: string;
  machine: MachineFacts;
  noise: Noise;
  groups: GroupReport[];
  /** What was counted, and is without noise. */
  counts?: CountReport[];
}

export interface CountReport {
  name: string;
  value: number;
  /** What the value would be at best, when there is such a thing. */
  ideal?: number;
}

/** Arms that were measured in turns. */
export interface GroupReport {
  title: string;
  rounds: number;
  warm_up_rounds: number;
  /** Names of the arms that the others are compared with. */
  baselines: string[];
  arms: ArmReport[];
}

export interface ArmReport {
  name: string;
  /** Milliseconds. */
  summary: Summary;
  /** By the name of the baseline; differences are in milliseconds. */
  comparisons: Record<string, Comparison>;
  /** Milliseconds, in the order of the rounds. */
  samples_ms: number[];
}

export interface GroupPlan {
  title: string;
  arms: readonly Arm[];
  /** Names of the arms that the others are compared with. */
  baselines: readonly string[];
  rounds: number;
  warmUpRounds: number;
}

/** Measures a group. @param onRound hears of each round that is done, warm-up included. */
export async function measureGroup(
  plan: GroupPlan,
  signal: AbortSignal,
  onRound: (done: number) => void,
): Promise<GroupReport> {
  const { arms, rounds, warmUpRounds } = plan;
  return reportGroup(plan, await measureInTurns(arms, { rounds, warmUpRounds, signal, onRound }));
}

/** @param samples milliseconds for each arm in the order of the rounds, by the arm's place. */
export function reportGroup(plan: GroupPlan, samples: readonly number[][]): GroupReport {
  const { title, arms, baselines, rounds, warmUpRounds } = plan;
  return {
    title,
    rounds,
    warm_up_rounds: warmUpRounds,
    baselines: [...baselines],
    arms: arms.map(({ name }, index) => {
      const own = samples[index] ?? [];
      const comparisons = Object.fromEntries(
        baselines
          .filter((baseline) => baseline !== name)
          .map((baseline) => [baseline, compare(own, samplesOf(baseline, arms, samples))]),
      );
      return { name, summary: summarize(own), comparisons, samples_ms: own };
    }),
  };
}

function samplesOf(name: string, arms: readonly Arm[], samples: readonly number[][]): number[] {
  const found = samples[arms.findIndex((arm) => arm.name === name)];
  if (!found) throw new Error(`no arm is called ${name}`);
  return found;
}
