/** A benchmark's report for people. Pure. */
import { DIRECT_AGAIN } from './call-arms.js';
import type { MachineFacts, Noise } from './machine.js';
import type { ArmReport, BenchReport, GroupReport } from './report.js';
import type { Comparison } from './statistics.js';

const COLUMNS = ['', 'min', 'median', 'p90', 'max', 'ratio', '95 %', 'of minima', 'difference'];
/** Load per core above which other work surely waited for the same processors. */
const QUIET_LOAD_PER_CORE_MAX = 0.5;
const STOLEN_SHARE_MAX = 0.01;

export function formatReport({ script, machine, noise, groups }: BenchReport): string[] {
  return [
    `${script}: ${machine.date}, commit ${machine.commit}`,
    describeMachine(machine),
    ...groups.flatMap((group) => ['', ...formatGroup(group)]),
    '',
    'Times in ms. The ratio is the median of the ratios to the first line within each round, then',
    'its 95 % interval; next comes the ratio of the smallest times, then the median difference.',
    ...describeNoise(machine, noise, groups),
  ];
}

function describeMachine(machine: MachineFacts): string {
  const { cpu, cores, memory_mb: memoryMb, kernel, node, driver, accelerator } = machine;
  return `${cpu}, ${cores} cores, ${memoryMb} MiB, Linux ${kernel}, Node ${node}, driver ${driver} (${accelerator})`;
}

function formatGroup({ title, rounds, warm_up_rounds: warmUp, arms }: GroupReport): string[] {
  const dropped = warmUp > 0 ? ` after ${warmUp} to warm up` : '';
  // The baseline stands first, as what the ratios refer to.
  const sorted = [...arms].sort((a, b) => Number('baseline' in a) - Number('baseline' in b));
  return [`${title}: ${rounds} rounds in turns${dropped}`, ...alignTable(COLUMNS, sorted.map(row))];
}

function row({ name, summary, comparison }: ArmReport): string[] {
  const { min, median, p90, max } = summary;
  const times = [min, median, p90, max].map((time) => (time === undefined ? '' : formatMs(time)));
  return [name, ...times, ...(comparison ? comparisonCells(comparison) : ['1', '', '', ''])];
}

function comparisonCells(comparison: Comparison): string[] {
  const { ratio, ratioInterval, ratioOfMinima, difference } = comparison;
  return [
    ratio.toFixed(2),
    `${ratioInterval.low.toFixed(2)}–${ratioInterval.high.toFixed(2)}`,
    ratioOfMinima.toFixed(2),
    `${difference < 0 ? '−' : '+'}${formatMs(Math.abs(difference))}`,
  ];
}

/** Two digits after the point for what is short; a tenth of a millisecond of a boot says nothing. */
export function formatMs(timeMs: number): string {
  return timeMs.toFixed(timeMs < 100 ? 2 : 0);
}

/** The first column to the left, all others, which are numbers, to the right. */
export function alignTable(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  const lines = [columns, ...rows];
  const widths = columns.map((_, index) =>
    Math.max(...lines.map((line) => line[index]?.length ?? 0)),
  );
  return lines.map((line) =>
    line
      .map((cell, index) =>
        index === 0 ? cell.padEnd(widths[0] ?? 0) : right(cell, widths[index]),
      )
      .join('  ')
      .trimEnd(),
  );
}

function right(cell: string, width = 0): string {
  return cell.padStart(width);
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

/** Two arms that do the same differ by noise alone. */
function nullResult({ title, arms }: GroupReport): string[] {
  const again = arms.find(({ name }) => name === DIRECT_AGAIN)?.comparison;
  if (!again) return [];
  const { low, high } = again.ratioInterval;
  const range = `${low.toFixed(2)}–${high.toFixed(2)}`;
  const verdict =
    low <= 1 && high >= 1 ? 'holds 1, as it should' : 'does not hold 1: measure again';
  return [`${title}: the same call against itself gives ${range}, which ${verdict}.`];
}
