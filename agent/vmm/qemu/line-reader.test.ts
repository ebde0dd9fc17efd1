import { expect } from 'chai';
import * as fc from 'fast-check';
import { LineReader } from './line-reader.js';

describe('line reader', () => {
  it('gives the same lines however the bytes are cut', () => {
    const text = fc.array(fc.string({ unit: 'grapheme' }).map((line) => line.replaceAll('\n', '')));
    fc.assert(
      fc.property(text, fc.array(fc.nat(20)), (lines, cuts) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const read: string[] = [];
        const reader = new LineReader(bytes.length, (line) => read.push(line));

        let start = 0;
        for (const size of cuts) {
          reader.add(bytes.subarray(start, start + size));
          start += size;
        }
        reader.add(bytes.subarray(start));

        expect(read).to.deep.equal(lines);
      }),
    );
  });

  it('takes a line of the limit and refuses a longer one, also in pieces', () => {
    const lines: string[] = [];
    const reader = new LineReader(4, (line) => lines.push(line));

    reader.add(Buffer.from('1234\n12'));
    reader.add(Buffer.from('34'));

    expect(lines).to.deep.equal(['1234']);
    expect(() => reader.add(Buffer.from('5'))).to.throw();
  });
});
