import { expect } from 'chai';
import { CapturedOutput } from './captured-output.js';

const SIZE_BYTES_MAX = 10_000;

describe('CapturedOutput', () => {
  it('keeps its own copy, so that a piece holds no memory once it is added', () => {
    const output = new CapturedOutput(SIZE_BYTES_MAX);
    const piece = Buffer.from('a');
    output.add(piece);
    piece.fill('b');
    expect(output.content().toString()).to.equal('a');
  });

  it('keeps all pieces in one buffer that is no larger than the limit', () => {
    const output = new CapturedOutput(SIZE_BYTES_MAX);
    const expected = Buffer.from('0123456789'.repeat(SIZE_BYTES_MAX / 10));
    for (const byte of expected) output.add(Buffer.of(byte));
    expect(output.content().equals(expected)).to.equal(true);
    expect(output.content().buffer.byteLength).to.equal(SIZE_BYTES_MAX);
    expect(output.truncated).to.equal(false);
    output.add(Buffer.from('x'));
    expect(output.content().equals(expected)).to.equal(true);
    expect(output.truncated).to.equal(true);
  });

  it('cuts the piece that exceeds the limit', () => {
    const output = new CapturedOutput(3);
    output.add(Buffer.from('ab'));
    output.add(Buffer.from('cd'));
    expect(output.content().toString()).to.equal('abc');
    expect(output.truncated).to.equal(true);
  });

  it('is empty without pieces', () => {
    expect(new CapturedOutput(SIZE_BYTES_MAX).content()).to.have.length(0);
  });
});
