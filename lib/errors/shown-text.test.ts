import { expect } from 'chai';
import { shownText } from './shown-text.js';

describe('text that an error shows', () => {
  it('stays as it is when it is short and plain', () => {
    for (const text of ['', 'env["A"]: does not match', 'größer als 😀', 'a'.repeat(64)]) {
      expect(shownText(text, 64)).to.equal(text);
    }
  });

  it('has no control characters, no half pairs and nothing that turns the direction', () => {
    const shown = shownText('a\r\nb\0c\u001b[2Jd\u202ee\ud800f\u2028', 100);
    expect(shown).to.equal('a\\u000d\\u000ab\\u0000c\\u001b[2Jd\\u202ee\\ud800f\\u2028');
  });

  it('is cut to its bytes between two characters', () => {
    for (const character of ['a', 'é', 'ﷺ', '😀', '\0']) {
      for (const bytesMax of [16, 17, 18, 19]) {
        const shown = shownText(character.repeat(1000), bytesMax);
        expect(Buffer.byteLength(shown)).to.be.within(bytesMax - 5, bytesMax);
        expect(shown)
          .to.match(/…$/)
          .and.not.match(/\ufffd/);
      }
    }
  });
});
