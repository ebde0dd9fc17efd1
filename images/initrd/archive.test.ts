import { execFileSync } from 'node:child_process';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { skipBecause } from '../../test/support/skip-reason.js';
import { temporaryDirectory } from '../../test/support/temporary-directory.js';
import { writeArchive } from './archive.js';

const ENTRIES = [
  { name: 'bin', mode: 0o755 },
  { name: 'bin/odd', mode: 0o755, content: Buffer.from('odd length') },
  { name: 'empty', mode: 0o644, content: Buffer.alloc(0) },
];

describe('cpio archive', () => {
  it('is the same for the same entries', () => {
    expect(writeArchive(ENTRIES).equals(writeArchive(ENTRIES))).to.equal(true);
  });

  it('starts every entry at a multiple of four bytes', () => {
    const archive = writeArchive(ENTRIES);
    const starts = [...archive.toString('latin1').matchAll(/070701[0-9a-f]{104}/g)];
    expect(starts).to.have.lengthOf(ENTRIES.length + 1);
    expect(starts.every(({ index }) => index % 4 === 0)).to.equal(true);
    expect(archive.length % 4).to.equal(0);
  });

  it('is unpacked by cpio with names, content and permissions', async function () {
    const cpio = ['cpio', '/usr/bin/busybox'].find(canUnpack);
    if (!cpio) skipBecause(this, 'needs cpio');
    await using directory = await temporaryDirectory();
    const target = join(directory.path, 'root');
    await mkdir(target);
    const args = cpio === 'cpio' ? ['-id', '--quiet'] : ['cpio', '-id'];
    execFileSync(cpio, args, { cwd: target, input: writeArchive(ENTRIES), stdio: 'pipe' });
    expect(await readFile(join(target, 'bin/odd'), 'utf8')).to.equal('odd length');
    expect(await readFile(join(target, 'empty'), 'utf8')).to.equal('');
    expect((await stat(join(target, 'bin/odd'))).mode & 0o777).to.equal(0o755);
    expect((await stat(join(target, 'empty'))).mode & 0o777).to.equal(0o644);
  });
});

function canUnpack(program: string): boolean {
  try {
    execFileSync(program, program === 'cpio' ? ['--version'] : ['cpio', '--help'], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}
