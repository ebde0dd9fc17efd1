/** The page server under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer. */
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../lib/files/package-root.js';
import { RunError, type RunResult, run } from '../../lib/process/run.js';
import { requireNeed } from '../support/requirements.js';
import { skipBecause } from '../support/skip-reason.js';
import { makeAddon } from './page-server-vmm.js';

const FUZZ_ROUNDS = 1_000_000;
const RUN_TIMEOUT_MS = 100_000;
const OUTPUT_SHOWN_MAX = 4000;
const BUILD_FOLDER = join(packageRoot(), 'native', 'addon', 'build');
/** Nothing that Node does is meant: neither its leaks at the end nor its own synchronization. */
const OPTIONS = {
  ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=0:exitcode=99',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  TSAN_OPTIONS: 'exitcode=99:ignore_noninstrumented_modules=1',
};

describe('the page server under sanitizers', function () {
  this.timeout(150_000);

  before(function () {
    requireNeed(this, 'root');
    makeAddon('programs');
  });

  for (const [sanitizer, libraries] of [
    ['address,undefined', ['libasan.so', 'libubsan.so']],
    ['thread', ['libtsan.so']],
  ] as const) {
    it(`passes its tests with ${sanitizer}`, async function () {
      const preload = libraries.map(libraryPath);
      if (preload.includes(undefined)) skipBecause(this, `needs the compiler's ${libraries}`);
      makeAddon('all', sanitizer);

      const { stdout, stderr } = await runTests(sanitizer, preload.join(':'));

      expect(stderr).not.to.match(/Sanitizer|runtime error/);
      expect(stdout).to.match(/\d+ passing/);
    });
  }

  it('survives any handshake', function () {
    if (libraryPath('libasan.so') === undefined) skipBecause(this, "needs the compiler's libasan");
    const folder = 'address,undefined';
    makeAddon('programs', folder);
    const program = join(BUILD_FOLDER, folder, 'json-fuzz');
    const seed = String(randomInt(1, 2 ** 32));

    const output = execFileSync(program, [seed, String(FUZZ_ROUNDS)], { encoding: 'utf8' });

    console.log(`      ${output.trim()}`);
    expect(output).to.match(/^seed \d+: \d+ complete, \d+ partial, \d+ invalid\n$/);
  });
});

/** Where the compiler has a library; undefined when it has none. */
function libraryPath(name: string): string | undefined {
  const path = execFileSync('cc', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();
  return path === name ? undefined : path;
}

/** Runs the other tests of the page server in a Node with the sanitizer. @throws RunError when one fails. */
async function runTests(sanitizer: string, preload: string): Promise<RunResult> {
  const here = join(packageRoot(), 'test', 'privileged');
  const program = join(packageRoot(), 'node_modules', 'mocha', 'bin', 'mocha.js');
  const tests = ['page-server', 'page-server-handshake', 'page-server-replay'].map((name) =>
    join(here, `${name}.test.ts`),
  );
  const sanitized = join(here, 'page-server-sanitized.ts');
  const args = ['--import', 'tsx', '--import', sanitized, program, '--no-config', ...tests];
  try {
    return await run(process.execPath, args, {
      cwd: packageRoot(),
      timeoutMs: RUN_TIMEOUT_MS,
      env: {
        ...process.env,
        ...OPTIONS,
        LD_PRELOAD: preload,
        WRENN_TEST_ADDON: join(BUILD_FOLDER, sanitizer, 'wrenn.node'),
      },
    });
  } catch (error) {
    if (error instanceof RunError) error.message += error.stdout.slice(-OUTPUT_SHOWN_MAX);
    throw error;
  }
}
