/** A host whose firewall drops by default, as those with a container engine do. */
import { join } from 'node:path';
import { expect } from 'chai';
import { randomId } from '../../lib/ids/random-id.js';
import { run } from '../../lib/process/run.js';
import { expectNoLeaks, takeCensus } from '../support/census/census.js';
import { eventually } from '../support/eventually.js';
import type { NestedHostReport } from '../support/network/nested-host.js';
import { requireNeed } from '../support/requirements.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const NESTED_HOST = join(import.meta.dirname, '../support/network/nested-host.ts');
const OPENINGS = [
  'filter FORWARD',
  'filter FORWARD',
  'filter INPUT',
  'strict forward',
  'strict forward',
];

describe('a host whose firewall drops by default', function () {
  this.timeout(60_000);

  before(function () {
    requireNeed(this, 'root', 'netns');
  });

  it('lets guests through, and nobody else, until the instance is closed', async () => {
    const instanceId = randomId(5);
    const namespace = `wt-nested-${instanceId}`;
    const before = await takeCensus({ instanceIds: [instanceId] });
    await using directory = await temporaryDirectory();
    await run('ip', ['netns', 'add', namespace]);
    try {
      const program = [process.execPath, '--import', 'tsx', NESTED_HOST];
      const args = ['netns', 'exec', namespace, ...program, instanceId, directory.path];
      const report = JSON.parse((await run('ip', args)).stdout) as NestedHostReport;
      expect(report).to.deep.equal({
        rulesWhileOpen: OPENINGS,
        rulesAfterRestart: OPENINGS,
        rulesAfterClose: [],
        internet: 'answered',
        dns: 'answered',
        otherLink: 'silent',
      });
    } finally {
      await run('ip', ['netns', 'del', namespace]);
    }
    await eventually(async () => {
      expectNoLeaks(before, await takeCensus({ instanceIds: [instanceId] }));
    });
  });
});
