import { expect } from 'chai';
import { printable } from './printable.js';

describe('printable', () => {
  it('leaves text of any script alone', () => {
    for (const text of ['note.txt', 'grüße 你好 🐦', '\\x1b'])
      expect(printable(text)).to.equal(text);
  });

  it('shows what a terminal would obey as its code', () => {
    expect(printable('a\x1b[2Jb\n\x7f\x9b')).to.equal('a\\x1b[2Jb\\x0a\\x7f\\x9b');
    expect(printable('gpj.\u202eexe\u2028')).to.equal('gpj.\\u{202e}exe\\u{2028}');
  });
});
