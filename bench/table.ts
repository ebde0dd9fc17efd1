/** A benchmark's report for people. Pure. */
import { formatTable } from '../cli/output/table.js';
import type { MachineFacts, Noise } from './machine.js';
import type { ArmReport, BenchReport, CountReport, GroupReport } from './report.js';
import { AGAIN } from './rounds.js';
import type { Comparison, Interval } from './statistics.js';

/** How the baselines of a group are called in the table. */
const BASELINE_MARKS = ['a', 'b', 'c'];
/** Load per core above which other work surely waited for the same processors. */
const QUIET_LOAD_PER_CORE_MAX = 0.5;
const STOLEN_SHARE_MAX = 0.01;
/** How far from 1 the interval of a call against itself may reach. */
const NULL_WIDTH_MAX = 0.1;

const LEGEND = [
  'Times in ms. "/ a" is the median of the ratios to line a within each round, with its 95 %',
  'interval; "min / a" the ratio of the smallest times; "- a" the median difference.',
];

export function formatReport(report: BenchReport): string[] {
  const { script, machine, noise, groups, counts = [] } = report;
  return [
    `${script}: ${machine.date}, commit ${machine.commit}`,
    describeMachine(machine),
    ...groups.flatMap((group) => ['', ...formatGroup(group)]),
    ...(counts.length > 0 ? ['', ...formatCounts(counts)] : []),
    '',
    ...(groups.length > 0 ? LEGEND : []),
    ...describeNoise(machine, noise, groups),
  ];
}

function describeMachine(machine: MachineFacts): string {
  const { cpu, cores, memory_mb: memoryMb, kernel, node, driver, accelerator } = machine;
  const machines = driver === undefined ? '' : `, driver ${driver} (${accelerator})`;
  return `${cpu}, ${cores} cores, ${memoryMb} MiB, Linux ${kernel}, Node ${node}${machines}`;
}

function formatCounts(counts: readonly CountReport[]): string[] {
  const digits = (value: number) => value.toFixed(3).replace(/\.?0+$/, '');
  const rows = counts.map(({ name, value, ideal }) => [
    name,
    digits(value),
    ideal === undefined ? '' : digits(ideal),
  ]);
  return formatTable(['counted', 'value', 'ideal'], rows, { numbersFrom: 1, gap: '  ' });
}

function formatGroup({ title, rounds, warm_up_rounds, baselines, arms }: GroupReport): string[] {
  const dropped = warm_up_rounds > 0 ? ` after ${warm_up_rounds} to warm up` : '';
  const marks = baselines.map((_, index) => BASELINE_MARKS[index] ?? '');
  const columns = marks.flatMap((mark) => [`/ ${mark}`, '95 %', `min / ${mark}`, `- ${mark}`]);
  const rows = arms.map((arm) => [
    `${marks[baselines.indexOf(arm.name)] ?? ' '} ${arm.name}`,
    ...timeCells(arm),
    ...baselines.flatMap((baseline) => comparisonCells(arm.comparisons[baseline])),
  ]);
  return [
    `${title}: ${rounds} ${rounds === 1 ? 'round' : 'rounds in turns'}${dropped}`,
    ...alignTable(['', 'min', 'median', 'p90', 'max', ...columns], rows),
  ];
}

function timeCells({ summary: { min, median, p90, max } }: ArmReport): string[] {
  return [min, median, p90, max].map((time) => (time === undefined ? '' : formatMs(time)));
}

function comparisonCells(comparison: Comparison | undefined): string[] {
  if (!comparison) return ['', '', '', ''];
  const { ratio, ratioInterval, ratioOfMinima, difference } = comparison;
  return [
    ratio.toFixed(2),
    `${ratioInterval.low.toFixed(2)}–${ratioInterval.high.toFixed(2)}`,
    ratioOfMinima.toFixed(2),
    `${difference < 0 ? '−' : '+'}${formatMs(Math.abs(difference))}`,
  ];
}

/** Digits that mean something: those of a microsecond for a page fault, none after the point for a boot. */
export function formatMs(timeMs: number): string {
  if (timeMs < 0.1) return timeMs.toFixed(4);
  return timeMs.toFixed(timeMs < 100 ? 2 : 0);
}

/** The first column to the left, all others, which are numbers, to the right. */
export function alignTable(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  return formatTable(columns, rows, { numbersFrom: 1, gap: '  ' });
}

/** Says what a reader should not believe. */
export function describeNoise(
  { cores }: Pick<MachineFacts, 'cores'>,
  noise: Noise,
  groups: readonly GroupReport[],
): string[] {
  const { load_before: before, load_after: after, stolen_share: stolen } = noise;
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  const lines = [
    `Load ${before.toFixed(1)} before and ${after.toFixed(1)} after, processors ${percent(noise.busy_share)} busy, ${percent(stolen)} stolen.`,
  ];
  if (before / cores > QUIET_LOAD_PER_CORE_MAX || stolen > STOLEN_SHARE_MAX) {
    lines.push(
      'The machine had other work: the times are too long; trust the ratios, and the minima.',
    );
  }
  return [...lines, ...groups.flatMap(nullResult)];
}

/** Whether the interval of an arm against itself holds 1, and nothing far from it. */
export function isNarrow({ low, high }: Interval): boolean {
  return low <= 1 && high >= 1 && low >= 1 - NULL_WIDTH_MAX && high <= 1 + NULL_WIDTH_MAX;
}

/** Two arms that do the same differ by noise alone. */
function nullResult({ title, arms, baselines }: GroupReport): string[] {
  const again = arms.find(({ name }) => name === AGAIN)?.comparisons[baselines[0] ?? ''];
  if (!again) return [];
  const [low, high] = [again.ratioInterval.low, again.ratioInterval.high].map((end) =>
    end.toFixed(2),
  );
  const range = `line a against itself gives ${low}–${high}`;
  return [`${title}: ${range}, which ${judgeNull(Number(low), Number(high))}.`];
}

function judgeNull(low: number, high: number): string {
  if (low > 1 || high < 1) return 'lacks 1: measure again';
  if (!isNarrow({ low, high })) {
    return 'is wide: smaller differences than that say nothing; take more rounds, or a quieter hour';
  }
  return 'holds 1 closely, as it should';
}
