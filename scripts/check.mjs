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

/** Steps at once. */
const LANES = 2;

/**
 * Name and work of each step; the longest come first.
 * @type {[string, () => Promise<{ exitCode: number, output: string }>][]}
 */
const STEPS = [
  [
    'dependency zones and promises',
    () => runCaptured(`${BIN}/eslint`, ['--max-warnings', '0', '.']),
  ],
  ['types', checkTypes],
  ['generated code', generatedCodeDiffers],
  ['format and lint', () => runCaptured(`${BIN}/biome`, ['check', '--error-on-warnings', '.'])],
  ['API description lint', lintApiDescription],
  ['contract lint', () => runCaptured(`${BIN}/buf`, ['lint'])],
  [
    'contract compatibility',
    () =>
      runCaptured(`${BIN}/buf`, [
        ...['breaking', 'proto', '--against', 'proto/baseline.binpb', '--config', 'buf.yaml'],
      ]),
  ],
  [
    'contract format',
    () => runCaptured(`${BIN}/buf`, ['format', '--diff', '--exit-code', 'proto']),
  ],
  [
    'settings example',
    () => runCaptured('node', ['--import', 'tsx', 'scripts/env-example.ts', '--check']),
  ],
  ['tidiness', () => runCaptured('node', ['scripts/tidy.mjs'])],
];

/**
 * @typedef {{ name: string, passed: boolean, output: string }} StepResult
 * @returns {Promise<StepResult[]>} one for each step; each is printed as it ends.
 */
export async function check() {
  /** @type {StepResult[]} */
  const results = [];
  const waiting = STEPS.values();
  const lane = async () => {
    for (const [name, step] of waiting) results.push(await report(name, step));
  };
  await Promise.all(Array.from({ length: LANES }, lane));
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

/** The projects with their boundaries, then everything once more with the tests. */
async function checkTypes() {
  const sources = await runCaptured(`${BIN}/tsc`, ['-b']);
  return sources.exitCode === 0 ? await runCaptured(`${BIN}/tsc`, ['-p', 'test']) : sources;
}

/** Warnings count as errors. Neither usage data nor a question for updates leaves the machine. */
function lintApiDescription() {
  return runCaptured('env', [
    ...['REDOCLY_TELEMETRY=off', 'REDOCLY_SUPPRESS_UPDATE_NOTICE=true'],
    ...[`${BIN}/redocly`, 'lint', '--extends=recommended-strict', 'gen/openapi.yaml'],
  ]);
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
