/** All that several benchmarks have found, in one table. Pure. */
import type { BenchReport, CountReport, GroupReport } from './report.js';
import { AGAIN } from './rounds.js';
import type { Comparison } from './statistics.js';
import { alignTable, isNarrow } from './table.js';

/** Of each arm its ratio to the first baseline of its group; of what was counted, that to its ideal. */
export function formatSummary(reports: readonly BenchReport[]): string[] {
  const rows = reports.flatMap(({ script, groups, counts = [] }) => [
    ...groups.flatMap((group) => groupRows(script, group)),
    ...counts.flatMap((count) => countRows(script, count)),
  ]);
  return alignTable(['', 'ratio', '95 %', 'of minima', 'a against itself'], rows);
}

function groupRows(script: string, { title, arms, baselines }: GroupReport): string[][] {
  const [baseline = ''] = baselines;
  const itself = arms.find(({ name }) => name === AGAIN)?.comparisons[baseline];
  return arms
    .filter(({ name }) => name !== AGAIN)
    .flatMap(({ name, comparisons }) => {
      const comparison = comparisons[baseline];
      if (!comparison) return [];
      const cells = [comparison.ratio.toFixed(2), interval(comparison)];
      const label = `${script}: ${title}: ${name} / ${baseline}`;
      return [[label, ...cells, comparison.ratioOfMinima.toFixed(2), judged(itself)]];
    });
}

function countRows(script: string, { name, value, ideal }: CountReport): string[][] {
  if (ideal === undefined) return [];
  return [[`${script}: ${name}`, (value / ideal).toFixed(3), '', '', 'counted']];
}

/** A ratio says something only when an arm is like itself. */
function judged(itself: Comparison | undefined): string {
  if (!itself) return '';
  const verdict = isNarrow(itself.ratioInterval) ? '' : ', no verdict';
  return `${interval(itself)}${verdict}`;
}

function interval({ ratioInterval: { low, high } }: Comparison): string {
  return `${low.toFixed(2)}–${high.toFixed(2)}`;
}
