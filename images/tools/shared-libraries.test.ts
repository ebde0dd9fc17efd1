import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { expect } from 'chai';
import { hasReason } from '../../lib/errors/index.js';
import { parseLibraries, sharedLibraries } from './shared-libraries.js';

const PRINTED = `
	linux-vdso.so.1 (0x00007f307d77e000)
	libdl.so.2 => /lib/x86_64-linux-gnu/libdl.so.2 (0x00007f307d768000)
	libstdc++.so.6 => /usr/lib/x86_64-linux-gnu/libstdc++.so.6 (0x00007f307d400000)
	/lib64/ld-linux-x86-64.so.2 (0x00007f307d780000)
`;

describe('shared libraries of a program', () => {
  it('are its libraries and its loader, without what the kernel provides', () => {
    expect(parseLibraries(PRINTED)).to.deep.equal([
      '/lib/x86_64-linux-gnu/libdl.so.2',
      '/usr/lib/x86_64-linux-gnu/libstdc++.so.6',
      '/lib64/ld-linux-x86-64.so.2',
    ]);
  });

  it('are none for a static program', () => {
    expect(parseLibraries('\tnot a dynamic executable\n')).to.deep.equal([]);
    expect(parseLibraries('\tstatically linked\n')).to.deep.equal([]);
  });

  it('are refused when one is missing', () => {
    expect(() => parseLibraries(`${PRINTED}\tlibatomic.so.1 => not found\n`))
      .to.throw()
      .that.satisfies((error: unknown) => hasReason(error, 'HOST_REQUIREMENT'));
  });

  it('are files of this machine for its own Node, the loader among them', async () => {
    const libraries = await sharedLibraries(process.execPath);
    expect(libraries.filter((path) => !existsSync(path))).to.deep.equal([]);
    expect(libraries.map((path) => basename(path))).to.include('ld-linux-x86-64.so.2');
  });
});
