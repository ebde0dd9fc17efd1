/**
 * Mocha's `spec` reporter which also appends one JSON line for each test to the
 * file that the reporter option `output` names. scripts/test.mjs adds the
 * lines of all tiers up.
 */
import { appendFileSync } from 'node:fs';
import Mocha from 'mocha';
import { skipReasonOf } from './skip-reason.js';

/** One test's outcome, as scripts/test.mjs reads it. */
export interface Outcome {
  state: 'passed' | 'failed' | 'skipped';
  title: string;
  file: string;
  /** Why it was skipped or what went wrong. */
  detail: string;
}

const { EVENT_TEST_PASS, EVENT_TEST_FAIL, EVENT_TEST_PENDING, EVENT_RUN_END } =
  Mocha.Runner.constants;

/**
 * Time that a finished run has to end by itself; a test that leaves something open keeps it from
 * that. A connection attempt to a guest that is gone is not that: the kernel gives it up after
 * 127 s (tcp_syn_retries), and gRPC does not cancel it earlier.
 */
const END_TIMEOUT_MS = 150_000;

// Mocha takes a reporter from a module's default export only.
// eslint-disable-next-line import-x/no-default-export
export default class SummaryReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const output: unknown = options.reporterOptions?.output;
    if (typeof output !== 'string') throw new Error('the reporter option "output" is missing');

    const record = (
      state: Outcome['state'],
      test: Mocha.Test | Mocha.Hook,
      detail: string,
    ): void => {
      const outcome: Outcome = { state, title: test.fullTitle(), file: test.file ?? '', detail };
      appendFileSync(output, `${JSON.stringify(outcome)}\n`);
    };
    runner.on(EVENT_TEST_PASS, (test) => record('passed', test, ''));
    runner.on(EVENT_TEST_FAIL, (test, error: Error) => {
      record('failed', test, error.message || String(error));
    });
    runner.on(EVENT_TEST_PENDING, (test) => {
      record('skipped', test, skipReasonOf(test) ?? 'no reason given');
    });
    runner.on(EVENT_RUN_END, () => {
      setTimeout(() => {
        const detail = `something keeps the run from its end: ${process.getActiveResourcesInfo().join(', ')}`;
        const outcome: Outcome = { state: 'failed', title: 'the end of the run', file: '', detail };
        appendFileSync(output, `${JSON.stringify(outcome)}\n`);
        process.exit(1);
      }, END_TIMEOUT_MS).unref();
    });
  }
}
