import { spawnSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { hasReason } from '../../lib/errors/index.js';
import { skipBecause } from '../../test/support/skip-reason.js';
import { temporaryDirectory } from '../../test/support/temporary-directory.js';
import { decompress, formatOf } from './decompress.js';

const CONTENT = Buffer.from('a module of the kernel '.repeat(1000));

/** Commands that pack as kernel builds do. */
const PACKERS: [string, string, string[]][] = [
  ['xz', 'xz', ['--check=crc32', '--stdout']],
  ['zstd', 'zstd', ['--quiet', '--stdout']],
  ['lz4', 'lz4', ['-l', '-c']],
];

describe('decompressing', () => {
  it('leaves data alone that is not compressed', async () => {
    const data = Buffer.from('\x7fELF and more', 'latin1');
    expect(await decompress('testing', data, '/nowhere')).to.equal(data);
  });

  it('takes gzip', async () => {
    const data = await decompress('testing', gzipSync(CONTENT), '/nowhere');
    expect(data.equals(CONTENT)).to.equal(true);
  });

  for (const [format, command, args] of PACKERS) {
    it(`takes ${format} and leaves no files behind`, async function () {
      const packed = spawnSync(command, args, { input: CONTENT });
      if (packed.error) skipBecause(this, `needs ${command}`);
      await using work = await temporaryDirectory();
      expect(formatOf(packed.stdout)).to.equal(format);
      const data = await decompress('testing', packed.stdout, work.path);
      expect(data.equals(CONTENT)).to.equal(true);
      expect(await readdir(work.path)).to.deep.equal([]);
    });
  }

  it('refuses damaged data and leaves no files behind', async () => {
    await using work = await temporaryDirectory();
    const damaged = Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), Buffer.alloc(64, 0xff)]);
    const outcome = await decompress('testing', damaged, work.path).catch((error) => error);
    expect(hasReason(outcome, 'HOST_REQUIREMENT')).to.equal(true);
    expect(await readdir(work.path)).to.deep.equal([]);
  });
});
