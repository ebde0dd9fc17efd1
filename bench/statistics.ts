/**
 * Statistics of measured times. Times on a shared machine are skewed and have
 * outliers, so everything here stands on order: median, quantiles, minimum.
 * Two arms are compared pair by pair, each pair measured right after one
 * another, so that what slows the machine for a while slows both.
 */

import { randomNumbers } from './random.js';

/** Resamples of a bootstrap; more do not change the second digit of an interval. */
const RESAMPLES = 2000;
const CONFIDENCE = 0.95;
/** Makes an interval the same each time it is computed from the same samples. */
const RANDOM_SEED = 0x57e77;
/** With fewer samples a ninth decile would be the maximum under another name. */
const P90_SAMPLES_MIN = 10;

export interface Summary {
  count: number;
  min: number;
  median: number;
  /** Undefined when there are too few samples. */
  p90: number | undefined;
  max: number;
}

/** A range in which the true median lies with 95 % confidence. */
export interface Interval {
  low: number;
  high: number;
}

/** How an arm relates to its baseline, over their pairs. */
export interface Comparison {
  /** Median of the paired ratios. */
  ratio: number;
  ratioInterval: Interval;
  /** The smallest sample of the arm over the smallest of the baseline. */
  ratioOfMinima: number;
  /** Median of the paired differences, in the samples' unit. */
  difference: number;
}

/** @throws RangeError without samples. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = ascending(samples);
  return {
    count: sorted.length,
    min: quantile(sorted, 0),
    median: quantile(sorted, 0.5),
    p90: sorted.length < P90_SAMPLES_MIN ? undefined : quantile(sorted, 0.9),
    max: quantile(sorted, 1),
  };
}

/**
 * Compares an arm with its baseline; samples with the same index are a pair.
 * @throws RangeError when the arms do not have the same number of samples, or none.
 */
export function compare(samples: readonly number[], baseline: readonly number[]): Comparison {
  if (samples.length !== baseline.length) throw new RangeError('pairs lack a partner');
  const pairs = samples.map((sample, index) => [sample, baseline[index] ?? Number.NaN] as const);
  const ratios = pairs.map(([sample, base]) => sample / base);
  return {
    ratio: median(ratios),
    ratioInterval: medianInterval(ratios),
    ratioOfMinima: Math.min(...samples) / Math.min(...baseline),
    difference: median(pairs.map(([sample, base]) => sample - base)),
  };
}

/** Bootstrap interval of the median. @throws RangeError without samples. */
export function medianInterval(samples: readonly number[]): Interval {
  const random = randomNumbers(RANDOM_SEED);
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(samples.map(() => samples[Math.floor(random() * samples.length)] ?? Number.NaN)),
  );
  const sorted = ascending(medians);
  const tail = (1 - CONFIDENCE) / 2;
  return { low: quantile(sorted, tail), high: quantile(sorted, 1 - tail) };
}

function median(samples: readonly number[]): number {
  return quantile(ascending(samples), 0.5);
}

function ascending(samples: readonly number[]): Float64Array {
  return Float64Array.from(samples).sort();
}

/** The value below which the share lies, interpolated between neighbours. */
function quantile(sorted: Float64Array, share: number): number {
  const position = (sorted.length - 1) * share;
  const below = sorted[Math.floor(position)];
  const above = sorted[Math.ceil(position)];
  if (below === undefined || above === undefined) throw new RangeError('no samples');
  return below + (above - below) * (position - Math.floor(position));
}
