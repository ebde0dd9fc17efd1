import { open, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../test/support/temporary-directory.js';
import { addon } from './binding.js';

/** The definition, bit by bit. */
function slowCrc32c(data: Uint8Array): number {
  let sum = 0xffff_ffff;
  for (const byte of data) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0x82f6_3b78 : 0);
  }
  return ~sum >>> 0;
}

describe('crc32c', () => {
  let directory: TemporaryDirectory;

  before(async () => {
    directory = await temporaryDirectory();
  });
  after(() => directory.remove());

  it('leaves room for other operations on files, however many files are read', async () => {
    const jobs = 8;
    const threadsOfPool = 4;
    await using file = await open(join(directory.path, 'long'), 'w+');
    await file.truncate(256 * 1024 * 1024);
    let finished = 0;
    const sums = Array.from({ length: jobs }, async () => {
      await addon().crc32cFile(file.fd);
      finished++;
    });

    await stat(directory.path);

    // Behind all of them in the queue of the pool it would have come after five.
    expect(finished).to.be.below(jobs - threadsOfPool + 1);
    await Promise.all(sums);
  }).timeout(60_000);

  it('gives the published check values', () => {
    expect(addon().crc32c(Buffer.from('123456789'))).to.equal(0xe306_9283);
    expect(addon().crc32c(Buffer.alloc(32))).to.equal(0x8a91_36aa);
    expect(addon().crc32c(Buffer.alloc(32, 0xff))).to.equal(0x62a8_ab43);
    expect(addon().crc32c(new Uint8Array())).to.equal(0);
  });

  it('is the same as the definition, at any length and place', () => {
    const bytes = fc.uint8Array({ minLength: 0, maxLength: 9000, size: 'max' });
    fc.assert(
      fc.property(bytes, fc.nat(15), (data, skip) => {
        expect(addon().crc32c(data.subarray(skip))).to.equal(slowCrc32c(data.subarray(skip)));
      }),
      { numRuns: 60 },
    );
  });

  it('continues a sum', () => {
    const data = Buffer.from('a page of memory, or two');
    const first = addon().crc32c(data.subarray(0, 7));
    expect(addon().crc32c(data.subarray(7), first)).to.equal(addon().crc32c(data));
  });

  it('sums a whole file, and leaves the descriptor to the caller', async () => {
    const data = Buffer.alloc(700_001, 'content');
    const path = join(directory.path, 'file');
    await writeFile(path, data);
    await using file = await open(path);
    expect(await addon().crc32cFile(file.fd)).to.equal(addon().crc32c(data));
    expect(await addon().crc32cFile(file.fd)).to.equal(addon().crc32c(data));
  });

  it('says by code why a file cannot be read', async () => {
    await using folder = await open(directory.path);
    const error: unknown = await addon()
      .crc32cFile(folder.fd)
      .catch((thrown: unknown) => thrown);
    expect(error).to.have.property('code', 'EISDIR');
  });

  it('refuses what are no bytes', () => {
    const wrong = [undefined, 'text', new Uint32Array(1), [1]] as unknown as Uint8Array[];
    for (const data of wrong) {
      expect(() => addon().crc32c(data))
        .to.throw()
        .with.property('code', 'EINVAL');
    }
  });
});
