import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { WrennError } from '../../lib/errors/index.js';
import { findProgram } from './find-program.js';

describe('findProgram', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wrenn-programs-'));
    for (const name of ['first', 'second']) await mkdir(join(folder, name));
    await place('first/plain', 0o644);
    await place('second/plain', 0o755);
    await place('first/tool', 0o755);
    await place('second/tool', 0o755);
    await place('first/data', 0o644);
    await mkdir(join(folder, 'first', 'directory'));
    await symlink('tool', join(folder, 'first', 'link'));
    await symlink('absent', join(folder, 'first', 'dangling'));
  });

  after(() => rm(folder, { recursive: true }));

  async function place(name: string, mode: number) {
    await writeFile(join(folder, name), '');
    await chmod(join(folder, name), mode);
  }

  function find(command: string, path = `${join(folder, 'first')}:${join(folder, 'second')}`) {
    return findProgram(command, path, folder);
  }

  it('takes the first in PATH', async () => {
    expect(await find('tool')).to.equal(join(folder, 'first', 'tool'));
  });

  it('passes over a file that may not be executed', async () => {
    expect(await find('plain')).to.equal(join(folder, 'second', 'plain'));
  });

  it('follows a link', async () => {
    expect(await find('link')).to.equal(join(folder, 'first', 'link'));
  });

  it('takes a path as it is, from the working directory', async () => {
    expect(await find('./second/tool')).to.equal(join(folder, 'second', 'tool'));
    expect(await find(join(folder, 'second', 'tool'))).to.equal(join(folder, 'second', 'tool'));
  });

  it('takes an empty entry, and one without a slash, from the working directory', async () => {
    expect(await find('tool', 'second')).to.equal(join(folder, 'second', 'tool'));
    expect(await findProgram('tool', ':/nonexistent', join(folder, 'first'))).to.equal(
      join(folder, 'first', 'tool'),
    );
  });

  it('looks in the usual places when there is no PATH', async () => {
    expect(await find('sh', '')).to.match(/\/bin\/sh$/);
  });

  for (const [what, command, failure] of [
    ['is nowhere', 'absent', 'program_not_found'],
    ['is a link to nothing', 'dangling', 'program_not_found'],
    ['is a path to nothing', './absent', 'program_not_found'],
    ['may nowhere be executed', 'data', 'program_not_executable'],
    ['is a folder', 'directory', 'program_not_executable'],
    ['is a path to a folder', '/', 'program_not_executable'],
  ] as const) {
    it(`fails for a program that ${what}`, async () => {
      const error = await find(command).catch((thrown: unknown) => thrown);

      expect(error).to.be.instanceOf(WrennError);
      expect(error).to.have.property('reason', 'COMMAND_NOT_FOUND');
      expect((error as WrennError).metadata.failure).to.equal(failure);
    });
  }
});
