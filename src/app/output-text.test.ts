import { expect } from 'chai';
import fc from 'fast-check';
import { decodeText } from './output-text.js';

describe('decodeText', () => {
  it('gives back any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(decodeText(Buffer.from(text), false)).to.equal(text);
      }),
    );
  });

  it('leaves out the character that a cut has split', () => {
    const text = 'aé€😀';
    const bytes = Buffer.from(text);
    for (let size = 0; size <= bytes.length; size += 1) {
      expect(text.startsWith(decodeText(bytes.subarray(0, size), true))).to.equal(true);
    }
    expect(decodeText(bytes.subarray(0, -1), true)).to.equal('aé€');
  });

  it('is empty for bytes that are no UTF-8, and for a split character where nothing was cut', () => {
    expect(decodeText(Buffer.from([0x61, 0xff]), false)).to.equal('');
    expect(decodeText(Buffer.from([0xff, 0x61, 0x61, 0x61, 0x61]), true)).to.equal('');
    expect(decodeText(Buffer.from('é').subarray(0, 1), false)).to.equal('');
  });
});
