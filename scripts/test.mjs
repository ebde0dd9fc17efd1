/**
 * `npm test`: the set-up, then every tier of tests that this machine can run,
 * and at the very end one line with the totals.
 *   npm test                 everything
 *   npm test -- FILE…        these test files only
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check } from './check.mjs';
import { formatDuration, ROOT, runStreaming } from './run.mjs';
import { runMain, setUp } from './setup.mjs';
import { formatSummary } from './summary.mjs';

const TEST_FILE = /\.test\.(ts|mjs)$/;
const UNIT_FOLDERS = [
  ...['lib', 'migrations', 'src', 'agent', 'envd', 'images', 'native'],
  ...['clients', 'cli', 'bench', 'scripts', 'test/support'],
];
const TIER_TIMEOUT_MS = 15 * 60_000;

/** Cheap tiers first; each is one mocha process. */
const TIERS = [
  { name: 'unit', folders: UNIT_FOLDERS },
  ...['integration', 'conformance', 'faults', 'privileged', 'e2e'].map((name) => ({
    name,
    folders: [`test/${name}`],
  })),
];

/** @typedef {import('./summary.mjs').Outcome} Outcome */

await runMain(async () => {
  const files = process.argv.slice(2);
  const hostProblems = await setUp({ hostOptional: true });
  for (const problem of hostProblems) console.log(`! tests are skipped: ${problem}`);

  const outcomes = files.length > 0 ? await runTier('selected', files) : await runAllTiers();
  for (const line of formatSummary(outcomes, ROOT)) console.log(line);
  const failed = outcomes.some(({ state }) => state === 'failed');
  return failed || !outcomes.some(({ state }) => state === 'passed') ? 1 : 0;
});

/** @returns {Promise<Outcome[]>} */
async function runAllTiers() {
  const outcomes = await runCheckTier();
  for (const { name, folders } of TIERS) {
    const files = folders.flatMap(findTestFiles);
    if (files.length > 0) outcomes.push(...(await runTier(name, files)));
  }
  return outcomes;
}

/** @returns {Promise<Outcome[]>} each step of `npm run check` counts as a test */
async function runCheckTier() {
  console.log('\n── check');
  const results = await check();
  return results.map(({ name, passed, output }) => ({
    state: passed ? 'passed' : 'failed',
    title: `check ${name}`,
    file: 'scripts/check.mjs',
    detail: passed ? '' : output.trim(),
  }));
}

/**
 * @param {string} name
 * @param {string[]} files
 * @returns {Promise<Outcome[]>} a tier that dies or hangs counts as one more failure
 */
async function runTier(name, files) {
  console.log(`\n── ${name}: ${files.length} files`);
  const startedAt = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'wrenn-test-'));
  try {
    const output = join(folder, 'outcomes.jsonl');
    const { exitCode, timedOut } = await runStreaming(
      'node_modules/.bin/mocha',
      [
        '--reporter=./test/support/summary-reporter.ts',
        `--reporter-option=output=${output}`,
        ...files,
      ],
      { timeoutMs: TIER_TIMEOUT_MS },
    );
    const outcomes = readOutcomes(output);
    const explained = outcomes.some(({ state }) => state === 'failed');
    if (timedOut || (exitCode !== 0 && !explained)) {
      const detail = timedOut
        ? `did not end within ${formatDuration(TIER_TIMEOUT_MS)}; a test leaves something open`
        : `mocha ended with ${exitCode} although no test failed; its output above says why`;
      outcomes.push({ state: 'failed', title: `tier ${name}`, file: '', detail });
    }
    console.log(`   ${name} took ${formatDuration(performance.now() - startedAt)}`);
    return outcomes;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} path @returns {Outcome[]} */
function readOutcomes(path) {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line));
}

/** @param {string} folder */
function findTestFiles(folder) {
  const absolute = join(ROOT, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute, { recursive: true, encoding: 'utf8' })
    .filter((path) => TEST_FILE.test(path) && !path.includes('node_modules'))
    .map((path) => join(folder, path))
    .sort();
}
