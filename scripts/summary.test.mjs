import { expect } from 'chai';
import { formatSummary } from './summary.mjs';

const outcome = (state, title, detail = '') => ({ state, title, file: '/root/a.test.ts', detail });

describe('the summary of npm test', () => {
  it('ends with one plain line of totals', () => {
    const outcomes = [outcome('passed', 'one'), outcome('passed', 'two')];
    expect(formatSummary(outcomes, '/root').at(-1)).to.equal('2 passed, 0 failed, 0 skipped');
  });

  it('names each failure with its file and each skip with its reason before that', () => {
    const outcomes = [
      outcome('passed', 'one'),
      outcome('failed', 'two', 'boom\nand more'),
      outcome('skipped', 'three', 'needs root'),
    ];
    const lines = formatSummary(outcomes, '/root');
    expect(lines.join('\n')).to.include('two (a.test.ts)\n      boom\n      and more');
    expect(lines).to.include('  - three: needs root');
    expect(lines.at(-1)).to.equal('1 passed, 1 failed, 1 skipped');
  });
});
