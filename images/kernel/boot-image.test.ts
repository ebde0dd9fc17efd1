import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { hasReason } from '../../lib/errors/index.js';
import { temporaryDirectory } from '../../test/support/temporary-directory.js';
import { extractKernel, findPayload } from './boot-image.js';

const KERNEL = Buffer.concat([Buffer.from('\x7fELF', 'latin1'), Buffer.alloc(5000, 'kernel')]);

describe('boot image', () => {
  it('gives back the kernel that is packed in it', async () => {
    await using work = await temporaryDirectory();
    const kernel = await extractKernel(bootImage(gzipSync(KERNEL)), work.path);
    expect(kernel.equals(KERNEL)).to.equal(true);
  });

  it('finds the payload behind a stub of the smallest size', () => {
    const image = bootImage(Buffer.from('payload'), { setupSectors: 0 });
    expect(findPayload(image).toString()).to.equal('payload');
  });

  const damaged: [string, (image: Buffer) => Buffer][] = [
    ['is too short for a header', (image) => image.subarray(0, 0x200)],
    ['has another signature', (image) => overwrite(image, 0x202, 'ELF!')],
    ['ends before its payload does', (image) => image.subarray(0, image.length - 1)],
    ['holds no kernel', () => bootImage(gzipSync(Buffer.from('not a kernel')))],
    ['is packed in a way that nobody knows', () => bootImage(Buffer.from('????????'))],
    ['has a damaged payload', (image) => overwrite(image, image.length - 20, '\0\0\0\0\0\0\0\0')],
  ];
  for (const [title, damage] of damaged) {
    it(`is refused when it ${title}`, async () => {
      await using work = await temporaryDirectory();
      const image = damage(bootImage(gzipSync(KERNEL)));
      const outcome = await extractKernel(image, work.path).catch((error: unknown) => error);
      expect(hasReason(outcome, 'HOST_REQUIREMENT')).to.equal(true);
    });
  }

  it('is refused when it speaks a protocol without a payload', () => {
    const image = bootImage(gzipSync(KERNEL));
    image.writeUInt16LE(0x0207, 0x206);
    expect(() => findPayload(image))
      .to.throw()
      .that.satisfies((error: unknown) => hasReason(error, 'HOST_REQUIREMENT'));
  });
});

function bootImage(payload: Buffer, { setupSectors = 1 } = {}): Buffer {
  const stubBytes = ((setupSectors || 4) + 1) * 512;
  const payloadOffset = 16;
  const image = Buffer.alloc(stubBytes + payloadOffset + payload.length);
  image.writeUInt8(setupSectors, 0x1f1);
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt16LE(0x020f, 0x206);
  image.writeUInt32LE(payloadOffset, 0x248);
  image.writeUInt32LE(payload.length, 0x24c);
  payload.copy(image, stubBytes + payloadOffset);
  return image;
}

function overwrite(image: Buffer, offset: number, text: string): Buffer {
  image.write(text, offset, 'latin1');
  return image;
}
