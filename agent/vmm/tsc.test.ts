import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { hasReason } from '../../lib/errors/index.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../test/support/temporary-directory.js';
import { readTscKhz } from './tsc.js';

describe('rate of the time stamp counter', () => {
  let directory: TemporaryDirectory;

  beforeEach(async () => {
    directory = await temporaryDirectory();
  });

  afterEach(() => directory.remove());

  async function program(script: string): Promise<string> {
    const path = join(directory.path, 'tsc-khz');
    await writeFile(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
    return path;
  }

  it('is measured once', async () => {
    const count = join(directory.path, 'count');
    const path = await program(`echo >>${count}; wc -l <${count}; exit 0`);

    const rates = [await readTscKhz(directory.path, path), await readTscKhz(directory.path, path)];

    expect(rates).to.deep.equal([1, 1]);
  });

  for (const [title, script] of [
    ['fails', 'exit 1'],
    ['prints no number', 'echo fast'],
    ['prints nothing', 'true'],
    ['prints a rate that none can be', 'echo -5'],
  ] as const) {
    it(`is refused when the program ${title}`, async () => {
      const path = await program(script);

      const error = await readTscKhz(directory.path, path).catch((thrown: unknown) => thrown);

      expect(hasReason(error, 'HOST_REQUIREMENT')).to.equal(true);
    });
  }

  it('is refused when there is no program', async () => {
    const path = join(directory.path, 'none');

    const error = await readTscKhz(directory.path, path).catch((thrown: unknown) => thrown);

    expect(hasReason(error, 'HOST_REQUIREMENT')).to.equal(true);
  });
});
