import { mkdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Code, type Reason, WrennError } from '../../lib/errors/index.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../test/support/temporary-directory.js';
import { TemporaryFiles } from './temporary-files.js';
import { writeWholeFile } from './write-file.js';

const content = Buffer.from('hello');
const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

describe('writeWholeFile', () => {
  let directory: TemporaryDirectory;
  let run: TemporaryDirectory;

  beforeEach(async () => {
    directory = await temporaryDirectory();
    run = await temporaryDirectory();
  });

  afterEach(async () => {
    await directory.remove();
    await run.remove();
  });

  const at = (path: string) => join(directory.path, path);
  const write = (path: string) =>
    writeWholeFile(new TemporaryFiles(run.path), { path: at(path), owner, mode: 0 }, [content]);

  async function reasonOf(writing: Promise<unknown>): Promise<[Code, Reason] | undefined> {
    try {
      await writing;
      return undefined;
    } catch (error) {
      return error instanceof WrennError ? [error.code, error.reason] : Promise.reject(error);
    }
  }

  it('makes the directories that are missing', async () => {
    await write('a/b/c/file');
    expect(await readFile(at('a/b/c/file'), 'utf8')).to.equal('hello');
  });

  it('goes through a link that leads to a directory', async () => {
    await mkdir(at('real'));
    await symlink(at('real'), at('link'));
    await write('link/b/file');
    expect(await readFile(at('real/b/file'), 'utf8')).to.equal('hello');
  });

  it('refuses a path below a link that leads to nothing', async () => {
    await symlink(at('nowhere'), at('link'));
    const expected = [Code.FAILED_PRECONDITION, 'FILE_NOT_USABLE'];
    expect(await reasonOf(write('link/file'))).to.deep.equal(expected);
    expect(await reasonOf(write('link/b/file'))).to.deep.equal(expected);
    expect(await reasonOf(write('link/b/c/file'))).to.deep.equal(expected);
  });
});
