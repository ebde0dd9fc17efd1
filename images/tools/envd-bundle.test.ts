import { execFileSync } from 'node:child_process';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../lib/files/package-root.js';
import { temporaryDirectory } from '../../test/support/temporary-directory.js';
import { bundleEnvd, compileEnvd } from './envd-bundle.js';

/** Loads the daemon as a guest does, with an argument that it refuses, and says what V8 thought. */
const PROBE = `
const vm = require('node:vm');
const accepted = [];
vm.Script = class extends vm.Script {
  constructor(...args) { super(...args); accepted.push(this.cachedDataRejected === false); }
};
process.on('exit', () => console.log(JSON.stringify(accepted)));
process.argv.push('--no-such-setting=1');
require(process.argv[1] + '/envd.js');
`;

describe('bundle of the guest daemon', function () {
  this.timeout(60_000);

  it('runs with nothing beside it, out of its compiled form', async () => {
    await using directory = await temporaryDirectory();
    const bundlePath = join(directory.path, 'envd.bundle.js');
    await writeFile(bundlePath, await bundleEnvd());
    await compileEnvd({
      nodePath: process.execPath,
      bundlePath,
      target: join(directory.path, 'envd.bundle.cache'),
      busyboxPath: '/bin/false',
      helperPath: '/bin/false',
    });
    await copyFile(
      join(packageRoot(), 'images/tools/envd-loader.cjs'),
      join(directory.path, 'envd.js'),
    );
    expect(loadAsGuest(directory.path)).to.equal('[true]');
  });
});

/** The last line that the probe prints. The daemon itself ends with an error, as it should. */
function loadAsGuest(directory: string): string | undefined {
  try {
    execFileSync(process.execPath, ['-e', PROBE, directory], { encoding: 'utf8', stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return String((error as { stdout: string }).stdout)
      .trim()
      .split('\n')
      .at(-1);
  }
}
