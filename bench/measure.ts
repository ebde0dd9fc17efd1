/** What every benchmark is given, and how it measures a group of arms. */
import type { BenchOptions } from './options.js';
import type { Progress } from './progress.js';
import { type GroupPlan, type GroupReport, measureGroup } from './report.js';

export interface BenchContext {
  options: BenchOptions;
  progress: Progress;
  /** Aborts when the benchmark is interrupted. */
  signal: AbortSignal;
}

/** Measures a group, and says how far it is. */
export function measure(
  plan: GroupPlan,
  { progress, signal }: Pick<BenchContext, 'progress' | 'signal'>,
): Promise<GroupReport> {
  const total = plan.rounds + plan.warmUpRounds;
  progress.show(plan.title, 0, total);
  return measureGroup(plan, signal, (done) => progress.show(plan.title, done, total));
}
