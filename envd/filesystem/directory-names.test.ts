import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { rejectionOf } from '../../test/support/rejection.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../test/support/temporary-directory.js';
import { type NamesWanted, readNames } from './directory-names.js';

const NAMES = ['a', 'a b', 'b', 'c', 'd', 'e', 'f', 'g'];
const ALL: NamesWanted = {
  from: '',
  exclusive: false,
  count: 100,
  isHidden: () => false,
  signal: new AbortController().signal,
};

describe('readNames', () => {
  let directory: TemporaryDirectory;

  before(async () => {
    directory = await temporaryDirectory();
    for (const name of NAMES) await writeFile(join(directory.path, name), '');
  });

  after(() => directory.remove());

  async function read(wanted: Partial<NamesWanted>): Promise<string[]> {
    const names = await readNames(Buffer.from(directory.path), { ...ALL, ...wanted });
    return names.map(({ text }) => text);
  }

  it('gives the first names in order, whatever the order on the disk', async () => {
    for (let count = 1; count <= NAMES.length + 1; count += 1) {
      expect(await read({ count })).to.deep.equal(NAMES.slice(0, count));
    }
  });

  it('begins at a name or after it, be it there or not', async () => {
    expect(await read({ from: 'b', count: 2 })).to.deep.equal(['b', 'c']);
    expect(await read({ from: 'b', exclusive: true, count: 2 })).to.deep.equal(['c', 'd']);
    expect(await read({ from: 'bb', count: 2 })).to.deep.equal(['c', 'd']);
  });

  it('leaves out what is hidden', async () => {
    const isHidden = (name: string) => name < 'f';

    expect(await read({ isHidden, count: 1 })).to.deep.equal(['f']);
  });

  it('refuses a directory that is too large', async () => {
    expect(await read({ entriesMax: NAMES.length, count: 1 })).to.deep.equal(['a']);
    const error = await rejectionOf(read({ entriesMax: NAMES.length - 1 }));

    expect(error).to.include({ reason: 'FILE_TOO_LARGE' });
    expect(error.metadata).to.include({ failure: 'directory_too_large' });
  });

  it('stops when it is called off', async () => {
    const reason = new Error('called off');

    const error = await rejectionOf(read({ signal: AbortSignal.abort(reason) }));

    expect(error.cause).to.equal(reason);
  });
});
