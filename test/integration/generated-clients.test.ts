import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../lib/files/package-root.js';
import { requireNeed } from '../support/requirements.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** The generators are fetched and built at the first time. */
const GENERATE_TIMEOUT_MS = 10 * 60_000;

describe('the generated code of the Go and Python clients', () => {
  it('is what the protos generate', async function () {
    requireNeed(this, 'go', 'python-venv');
    this.timeout(GENERATE_TIMEOUT_MS);
    await using directory = await temporaryDirectory();
    const cwd = packageRoot();
    execFileSync('bash', ['scripts/generate-clients.sh', directory.path], { cwd });
    for (const folder of ['clients/go/gen', 'clients/python/src/wrenn/v1']) {
      const compared = [folder, join(directory.path, folder)];
      const ignored = ['--exclude=__init__.py', '--exclude=__pycache__'];
      execFileSync('diff', ['--recursive', '--brief', ...ignored, ...compared], { cwd });
    }
  });
});
