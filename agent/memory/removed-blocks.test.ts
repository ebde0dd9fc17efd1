import { execFileSync } from 'node:child_process';
import { chmod, link, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../test/support/temporary-directory.js';
import { readRemovedBlocks } from './removed-blocks.js';

describe('blocks that a VMM has given back', () => {
  let directory: TemporaryDirectory;
  let path: string;

  beforeEach(async () => {
    directory = await temporaryDirectory();
    path = join(directory.path, 'memory.removed');
    await writeFile(path, Buffer.of(1, 2), { mode: 0o600 });
  });

  afterEach(() => directory.remove());

  const attempt = () => readRemovedBlocks(path).catch((error: unknown) => error);

  it('are read from the file of the page server', async () => {
    expect(await readRemovedBlocks(path)).to.deep.equal(Buffer.of(1, 2));
  });

  it('are not awaited from a pipe that the VMM has put in its place', async () => {
    await rm(path);
    execFileSync('mkfifo', [path]);
    expect(await attempt()).to.be.instanceOf(Error);
  });

  it('are not read from what a link of the VMM leads to, which may have no end', async () => {
    await rm(path);
    await symlink('/dev/zero', path);
    expect(await attempt()).to.have.property('code', 'ELOOP');
  });

  it('are not read from a file that has another name, or that others may write', async () => {
    await link(path, `${path}.other`);
    expect(await attempt()).to.be.instanceOf(Error);
    await rm(`${path}.other`);
    await chmod(path, 0o660);
    expect(await attempt()).to.be.instanceOf(Error);
  });
});
