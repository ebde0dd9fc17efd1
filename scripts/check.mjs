/**
 * `npm run check`: format, lint, types, contracts, generated code. Every step
 * runs even when one fails; what a failed one printed stands under its name.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { formatDuration, runCaptured } from './run.mjs';

const BIN = 'node_modules/.bin';

/** Name and command of each step, in the order of running. */
const STEPS = [
  ['format and lint', `${BIN}/biome`, ['check', '--error-on-warnings', '.']],
  ['types of the sources', `${BIN}/tsc`, ['-b']],
  ['types of the tests', `${BIN}/tsc`, ['-p', 'test']],
  ['dependency zones and promises', `${BIN}/eslint`, ['--max-warnings', '0', '.']],
  ['contract lint', `${BIN}/buf`, ['lint']],
  [
    'contract compatibility',
    `${BIN}/buf`,
    ['breaking', 'proto', '--against', 'proto/baseline.binpb', '--config', 'buf.yaml'],
  ],
  ['contract format', `${BIN}/buf`, ['format', '--diff', '--exit-code', 'proto']],
  ['settings example', 'node', ['--import', 'tsx', 'scripts/env-example.ts', '--check']],
  ['tidiness', 'node', ['scripts/tidy.mjs']],
];

/**
 * @typedef {{ name: string, passed: boolean, output: string }} StepResult
 * @returns {Promise<StepResult[]>} one for each step; each is printed as it ends.
 */
export async function check() {
  /** @type {StepResult[]} */
  const results = [];
  for (const [name, command, args] of STEPS) {
    results.push(await report(name, () => runCaptured(command, args)));
  }
  results.push(await report('generated code', generatedCodeDiffers));
  return results;
}

/**
 * @param {string} name
 * @param {() => Promise<{ exitCode: number, output: string }>} step
 */
async function report(name, step) {
  const startedAt = performance.now();
  const { exitCode, output } = await step();
  const passed = exitCode === 0;
  console.log(`  ${passed ? '✔' : '✖'} ${name} (${formatDuration(performance.now() - startedAt)})`);
  if (!passed) console.log(output.trimEnd().replace(/^/gm, '      '));
  return { name, passed, output };
}

/** Generates into a temporary folder and compares with what is committed. */
async function generatedCodeDiffers() {
  const folder = mkdtempSync(join(tmpdir(), 'wrenn-generate-'));
  try {
    const generated = await runCaptured('bash', ['scripts/generate.sh', folder]);
    if (generated.exitCode !== 0) return generated;
    return await runCaptured('diff', [
      '--recursive',
      '--brief',
      '--exclude=tsconfig.json',
      'gen',
      join(folder, 'gen'),
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const results = await check();
  const failed = results.filter(({ passed }) => !passed);
  console.log(`${results.length - failed.length} passed, ${failed.length} failed`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}
