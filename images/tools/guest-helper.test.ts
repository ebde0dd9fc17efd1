import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { buildGuestHelper } from './guest-helper.js';

const ELF_MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);

describe('buildGuestHelper', function () {
  this.timeout(60_000);

  it('gives the program and its hash, the same again', async () => {
    const first = await buildGuestHelper();
    const second = await buildGuestHelper();

    expect(first.content.subarray(0, ELF_MAGIC.length)).to.deep.equal(ELF_MAGIC);
    expect(first.sha256).to.equal(createHash('sha256').update(first.content).digest('hex'));
    expect(second.sha256).to.equal(first.sha256);
  });
});
