import { expect } from 'chai';
import type { GroupReport } from './report.js';
import { AGAIN } from './rounds.js';
import { compare, summarize } from './statistics.js';
import { describeNoise, formatMs } from './table.js';

const BASELINE = 'the baseline';
const QUIET = { load_before: 0.1, load_after: 0.9, busy_share: 0.4, stolen_share: 0 };

describe('formatMs', () => {
  it('gives as many digits as mean something', () => {
    const times = [0.0137, 0.5, 99.5, 5309.6];
    expect(times.map(formatMs)).to.deep.equal(['0.0137', '0.50', '99.50', '5310']);
  });
});

describe('describeNoise', () => {
  it('has nothing to warn of on a quiet machine', () => {
    expect(describeNoise({ cores: 2 }, QUIET, [])).to.have.length(1);
  });

  it('warns of a machine with other work, and of one that is not given its processors', () => {
    expect(describeNoise({ cores: 2 }, { ...QUIET, load_before: 3 }, [])).to.have.length(2);
    expect(describeNoise({ cores: 2 }, { ...QUIET, stolen_share: 0.2 }, [])).to.have.length(2);
  });

  it('tells whether the same call against itself came out equal', () => {
    expect(judgementOf([1, 2, 3, 4, 5, 6]))
      .to.contain('1.00–1.00')
      .and.contain('closely');
    expect(judgementOf([2, 4, 6, 8, 10, 12]))
      .to.contain('2.00–2.00')
      .and.contain('lacks 1');
    expect(judgementOf([3, 1, 4, 2, 6, 5])).to.contain('is wide');
  });
});

function judgementOf(again: number[]): string | undefined {
  return describeNoise({ cores: 2 }, QUIET, [groupWith(again)]).at(-1);
}

/** A group in which the baseline took 1 to 6 ms. */
function groupWith(again: number[]): GroupReport {
  const direct = [1, 2, 3, 4, 5, 6];
  const arm = (name: string, samples: number[]) => ({
    ...{ name, summary: summarize(samples), samples_ms: samples },
    comparisons: name === BASELINE ? {} : { [BASELINE]: compare(samples, direct) },
  });
  return {
    ...{ title: 'Exec', rounds: 6, warm_up_rounds: 0, baselines: [BASELINE] },
    arms: [arm(BASELINE, direct), arm(AGAIN, again)],
  };
}
