import { expect } from 'chai';
import { EscapeKeys } from './escape.js';

/** Types one piece after the other; a `!` at the end says that the keys were seen. */
function typed(...pieces: string[]): string {
  const keys = new EscapeKeys();
  let out = '';
  for (const piece of pieces) {
    const { input, isLeaving } = keys.take(Buffer.from(piece));
    out += input.toString('latin1') + (isLeaving ? '!' : '');
  }
  return out;
}

describe('EscapeKeys', () => {
  for (const [pieces, expected] of [
    [['~.'], '!'],
    [['ls\r', '~', '.'], 'ls\r!'],
    [['a~.'], 'a~.'],
    [['cd ~\r'], 'cd ~\r'],
    [['~/x\r'], '~/x\r'],
    [['~~.'], '~.'],
    [['~', 'a', '~.'], '~a~.'],
    [['\n~.rest'], '\n!'],
  ] as [string[], string][]) {
    it(`makes ${JSON.stringify(expected)} of ${JSON.stringify(pieces)}`, () => {
      expect(typed(...pieces)).to.equal(expected);
    });
  }
});
