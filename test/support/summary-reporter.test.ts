import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../lib/files/package-root.js';
import type { Outcome } from './summary-reporter.js';
import { temporaryDirectory } from './temporary-directory.js';

const MOCHA_TIMEOUT_MS = 60_000;
const TESTS = `
import { skipBecause } from '${join(packageRoot(), 'test/support/skip-reason.ts')}';
describe('outer', () => {
  it('passes', () => undefined);
  it('fails', () => { throw new Error('boom'); });
  it('is skipped', function () { skipBecause(this, 'needs a reason'); });
  describe('inner', () => {
    before(function () { skipBecause(this, 'needs a suite'); });
    it('is skipped with its suite', () => undefined);
  });
});
`;

describe('SummaryReporter', () => {
  it('writes what became of each test, and why it was skipped', async function () {
    this.timeout(MOCHA_TIMEOUT_MS);
    await using directory = await temporaryDirectory();
    const [tests, output] = ['example.test.ts', 'outcomes.jsonl'].map((name) =>
      join(directory.path, name),
    ) as [string, string];
    await writeFile(tests, TESTS);
    const reporter = ['--reporter=./test/support/summary-reporter.ts'];
    const { status } = spawnSync(
      'node_modules/.bin/mocha',
      [...reporter, `--reporter-option=output=${output}`, tests],
      { cwd: packageRoot(), stdio: 'ignore', timeout: MOCHA_TIMEOUT_MS },
    );

    expect(status).to.equal(1);
    const lines = (await readFile(output, 'utf8')).trim().split('\n');
    const outcomes = lines.map((line) => JSON.parse(line) as Outcome);
    const summary = outcomes.map(({ state, title, detail }) => [state, title, detail]);
    expect(summary).to.deep.equal([
      ['passed', 'outer passes', ''],
      ['failed', 'outer fails', 'boom'],
      ['skipped', 'outer is skipped', 'needs a reason'],
      ['skipped', 'outer inner is skipped with its suite', 'needs a suite'],
    ]);
  });
});
