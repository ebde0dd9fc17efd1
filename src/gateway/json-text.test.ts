import { expect } from 'chai';
import fc from 'fast-check';
import { JsonTextError, parseJsonText } from './json-text.js';
import { JSON_DEPTH_MAX } from './limits.js';

function parse(text: string | Buffer) {
  return parseJsonText(Buffer.from(text));
}

describe('parseJsonText', () => {
  it('gives back any JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8, stringUnit: 'grapheme' }), (value) => {
        const text = JSON.stringify(value);
        expect(parse(text)).to.deep.equal(JSON.parse(text));
      }),
    );
  });

  const refused: [string, string | Buffer][] = [
    ['no text', ''],
    ['a cut text', '{"a":'],
    ['two values', '{} {}'],
    ['a comment', '{/* */}'],
    ['a trailing comma', '[1,]'],
    ['single quotes', "{'a':1}"],
    ['NaN', 'NaN'],
    ['a lone quote', '"'],
    ['an escape at the end', '"\\'],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['an encoded surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['a key twice', '{"a":1,"a":2}'],
    ['a key twice, once escaped', '{"a":1,"\\u0061":2}'],
    ['a key twice, deeper', '[{"b":{"a":[],"c":1,"a":2}}]'],
    ['__proto__ twice', '{"__proto__":1,"__proto__":2}'],
  ];
  for (const [what, text] of refused) {
    it(`refuses ${what}`, () => {
      expect(() => parse(text)).to.throw(JsonTextError);
    });
  }

  it('does not take brackets, colons and quotes in strings for structure', () => {
    const value = { 'a":{[': '"}]:\\', b: '\\"', c: ['a:', '{"b":1,"b":2}'] };
    expect(parse(JSON.stringify(value))).to.deep.equal(value);
  });

  it('takes the same key in different objects', () => {
    expect(parse('[{"a":1},{"a":{"a":2}}]')).to.deep.equal([{ a: 1 }, { a: { a: 2 } }]);
  });

  it('bounds the nesting', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    expect(() => parse(nested(JSON_DEPTH_MAX))).to.not.throw();
    expect(() => parse(nested(JSON_DEPTH_MAX + 1))).to.throw(JsonTextError);
    expect(() => parse('['.repeat(1_000_000))).to.throw(JsonTextError);
    expect(() => parse('{"a":'.repeat(1_000_000))).to.throw(JsonTextError);
  });

  it('keeps __proto__ a plain key', () => {
    const value = parse('{"__proto__":{"polluted":true}}') as object;
    expect(Object.keys(value)).to.deep.equal(['__proto__']);
    expect(Object.hasOwn({}, 'polluted')).to.equal(false);
    expect(Reflect.get({}, 'polluted')).to.equal(undefined);
  });

  it('ends with a value or a JsonTextError for any text', () => {
    const piece = fc.constantFrom('{', '}', '[', ']', ':', ',', '"', '\\', '"a"', '1', ' ', 'null');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 16 }), (pieces) => {
        try {
          parse(pieces.join(''));
        } catch (error) {
          expect(error).to.be.instanceOf(JsonTextError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});
