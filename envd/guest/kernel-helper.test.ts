import { expect } from 'chai';
import { HelperReport } from './kernel-helper.js';

describe('HelperReport', () => {
  const report = new HelperReport('wall_clock 0\nadd_entropy 0\nreseed 1\nnonsense\n');

  it('lets steps pass that are done', () => {
    expect(() => report.requireDone('wall_clock', 'add_entropy')).not.to.throw();
  });

  it('names the step that failed, and the error', () => {
    expect(() => report.requireDone('add_entropy', 'reseed')).to.throw(/reseed.*EPERM/);
  });

  it('takes a step that is not there for one that failed', () => {
    for (const text of ['', 'wall_clock', 'wall_clock x', 'wall_clock -1', ' wall_clock 0']) {
      expect(() => new HelperReport(text).requireDone('wall_clock')).to.throw(/wall_clock/);
    }
  });
});
