import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../lib/files/package-root.js';
import { skipBecause } from '../../test/support/skip-reason.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../test/support/temporary-directory.js';

/** Two measurements of a counter with a fixed rate; a guest's clock may be off by as much. */
const DIFFERENCE_PPM_MAX = 1000;

describe('tsc-khz', function () {
  this.timeout(60_000);

  let directory: TemporaryDirectory;
  let program: string;

  before(async function () {
    if (process.arch !== 'x64') skipBecause(this, 'needs an x86-64 machine');
    directory = await temporaryDirectory();
    const args = [
      '--silent',
      '-C',
      join(packageRoot(), 'native', 'host'),
      `BUILD=${directory.path}`,
    ];
    execFileSync('make', args, { stdio: 'pipe' });
    program = join(directory.path, 'tsc-khz');
  });

  after(async () => {
    await directory?.remove();
  });

  it('prints one number, the same again within the tolerance', () => {
    const [first, second] = [measure(program), measure(program)];
    expect(first).to.be.within(100_000, 20_000_000);
    expect((Math.abs(first - second) / first) * 1_000_000).to.be.below(DIFFERENCE_PPM_MAX);
  });
});

function measure(program: string): number {
  const text = execFileSync(program, { encoding: 'utf8' });
  expect(text).to.match(/^\d+\n$/);
  return Number(text);
}
