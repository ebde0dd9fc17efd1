import { expect } from 'chai';
import fc from 'fast-check';
import { FrameReader, frame } from './tcp-frames.js';

describe('FrameReader', () => {
  it('finds the same messages however the stream is cut', () => {
    const message = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1 }),
        (messages, cuts) => {
          const reader = new FrameReader();
          const stream = Buffer.concat(messages.map(frame));
          const found: Buffer[] = [];
          for (let offset = 0, turn = 0; offset < stream.length; turn += 1) {
            const size = cuts[turn % cuts.length] ?? 1;
            found.push(...reader.add(stream.subarray(offset, offset + size)));
            offset += size;
          }
          expect(found.map(String)).to.deep.equal(messages.map(String));
        },
      ),
    );
  });

  it('refuses a message that is announced larger than allowed, before it comes', () => {
    const reader = new FrameReader(100);
    expect(() => reader.add(Buffer.from([0, 101]))).to.throw();
  });
});
