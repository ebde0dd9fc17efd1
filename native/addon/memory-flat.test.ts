import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../test/support/temporary-directory.js';
import { addon, SOURCE_ZERO } from './binding.js';

const BLOCK_BYTES = 4096;
const content = Buffer.alloc(BLOCK_BYTES, 'x');

describe('isFlatMemory', () => {
  let directory: TemporaryDirectory;
  let file: FileHandle;

  /** Eight blocks; 0, 1 and 6 have data. */
  beforeEach(async () => {
    directory = await temporaryDirectory();
    file = await open(join(directory.path, 'memory'), 'w+');
    await file.truncate(8 * BLOCK_BYTES);
    for (const block of [0, 1, 6]) await file.write(content, 0, BLOCK_BYTES, block * BLOCK_BYTES);
  });

  afterEach(async () => {
    await file.close();
    await directory.remove();
  });

  function isFlat(runs: number[], files = [file.fd]): boolean {
    return addon().isFlatMemory({
      files,
      runs: Uint32Array.from(runs),
      checksums: new Uint32Array(),
    });
  }

  it('is so when data lies at its own address and zero blocks are holes', () => {
    expect(isFlat([0, 2, 0, 0, 2, 4, SOURCE_ZERO, 0, 6, 1, 0, 6, 7, 1, SOURCE_ZERO, 0])).to.be.true;
    expect(isFlat([0, 8, 0, 0])).to.be.true;
  });

  it('is not so when the file has data where the memory is zero', () => {
    expect(isFlat([0, 2, 0, 0, 2, 6, SOURCE_ZERO, 0])).to.be.false;
    expect(isFlat([0, 1, 0, 0, 1, 7, SOURCE_ZERO, 0])).to.be.false;
    expect(isFlat([0, 8, SOURCE_ZERO, 0])).to.be.false;
  });

  it('is not so when a block lies elsewhere', () => {
    expect(isFlat([0, 1, 0, 1, 1, 7, 0, 1])).to.be.false;
  });

  it('is not so when the file is short', async () => {
    await file.truncate(8 * BLOCK_BYTES - 1);
    expect(isFlat([0, 8, 0, 0])).to.be.false;
  });

  it('is not so of several files, or none', () => {
    expect(isFlat([0, 8, 0, 0], [file.fd, file.fd])).to.be.false;
    expect(isFlat([0, 8, SOURCE_ZERO, 0], [])).to.be.false;
  });
});
