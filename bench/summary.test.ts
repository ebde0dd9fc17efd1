import { expect } from 'chai';
import type { BenchReport, GroupReport } from './report.js';
import { AGAIN } from './rounds.js';
import { compare, summarize } from './statistics.js';
import { formatSummary } from './summary.js';

const BASELINE = 'by hand';
const BY_HAND = [10, 10, 10, 10, 10, 10];

describe('formatSummary', () => {
  it('has a line for each arm but the baseline and its double, and for each ideal', () => {
    const counts = [
      { name: 'bytes', value: 3, ideal: 2 },
      { name: 'faults', value: 7 },
    ];

    const lines = formatSummary([report({ again: BY_HAND, counts })]);

    expect(lines).to.have.length(3);
    expect(lines[1]).to.contain('agent / by hand').and.contain('1.20');
    expect(lines[2]).to.contain('bytes').and.contain('1.500');
  });

  it('gives no verdict where the baseline is not like itself', () => {
    expect(formatSummary([report({ again: BY_HAND })])[1]).not.to.contain('no verdict');
    expect(formatSummary([report({ again: [5, 15, 5, 15, 10, 20] })])[1]).to.contain('no verdict');
  });
});

function report({ again, counts }: { again: number[]; counts?: BenchReport['counts'] }) {
  const group: GroupReport = {
    ...{ title: 'Create', rounds: 6, warm_up_rounds: 0, baselines: [BASELINE] },
    arms: [arm(BASELINE, BY_HAND), arm(AGAIN, again), arm('agent', Array(6).fill(12))],
  };
  return { script: 'bench/create.ts', groups: [group], counts } as unknown as BenchReport;
}

function arm(name: string, samples: number[]) {
  return {
    ...{ name, summary: summarize(samples), samples_ms: samples },
    comparisons: name === BASELINE ? {} : { [BASELINE]: compare(samples, BY_HAND) },
  };
}
