/** The gateway's JSON codec under the protobuf conformance suite, over all of its cases. */

import { join } from 'node:path';
import { expect } from 'chai';
import { buildSuiteProtos, runSuite, type SuiteOutcome } from '../conformance-suite/suite.js';
import { requireNeed } from '../support/requirements.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** A first run fetches a C library of some MiB from Debian's mirror. */
const FIRST_RUN_TIMEOUT_MS = 300_000;

describe('JSON codec under the protobuf conformance suite', function () {
  this.timeout(FIRST_RUN_TIMEOUT_MS);
  let outcome: SuiteOutcome;

  before(async function () {
    requireNeed(this, 'apt');
    await using directory = await temporaryDirectory();
    const descriptorSet = join(directory.path, 'suite.binpb');
    await buildSuiteProtos(descriptorSet);
    outcome = await runSuite(descriptorSet, directory.path);
  });

  it('passes every case of protobuf and JSON but the known failures', () => {
    expect(outcome.codec).to.deep.equal({
      successes: 5521,
      skipped: 0,
      expectedFailures: 46,
      unexpectedFailures: 0,
    });
  });

  it('leaves out nothing but the text format', () => {
    expect(outcome.textFormat).to.deep.include({ successes: 0, unexpectedFailures: 0 });
    expect(outcome.textFormat.skipped).to.be.greaterThan(0);
  });
});
