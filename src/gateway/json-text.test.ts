import { expect } from 'chai';
import fc from 'fast-check';
import { type ExactJson, JsonTextError, parseJsonText } from './json-text.js';
import { JSON_DEPTH_MAX } from './limits.js';

function parse(text: string | Buffer) {
  return parseJsonText(Buffer.from(text));
}

describe('parseJsonText', () => {
  it('gives back any JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8, stringUnit: 'grapheme' }), (value) => {
        const text = JSON.stringify(value);
        expect(toDoubles(parse(text))).to.deep.equal(JSON.parse(text));
      }),
    );
  });

  const numbers: [string, number | bigint][] = [
    ['9007199254740991', 9007199254740991],
    ['9007199254740993', 9007199254740993n],
    ['-9223372036854775808', -9223372036854775808n],
    ['18446744073709551615', 18446744073709551615n],
    ['1e19', 10000000000000000000n],
    ['9007199254740993.00', 9007199254740993n],
    ['0.09007199254740993E+17', 9007199254740993n],
    ['9007199254740993000e-3', 9007199254740993n],
    ['9007199254740993.5', 9007199254740994],
    ['1e3', 1000],
    ['-0', -0],
    ['0e999999999', 0],
    ['1e-400', 0],
    ['1.5e308', 15n * 10n ** 307n],
  ];
  for (const [text, value] of numbers) {
    it(`reads the number ${text}`, () => {
      const read = parse(text);
      expect(Object.is(read, value), String(read)).to.equal(true);
    });
  }

  const refused: [string, string | Buffer][] = [
    ['no text', ''],
    ['a cut text', '{"a":'],
    ['two values', '{} {}'],
    ['a comment', '{/* */}'],
    ['a trailing comma', '[1,]'],
    ['single quotes', "{'a':1}"],
    ['NaN', 'NaN'],
    ['Infinity', '-Infinity'],
    ['a number beyond any double', '[1e400]'],
    ['an integer beyond any double', '9'.repeat(400)],
    ['a leading zero', '01'],
    ['a leading plus', '+1'],
    ['a point without digits', '1.'],
    ['a hexadecimal number', '0x1'],
    ['a byte order mark', '\ufeff{}'],
    ['a NUL', '\0'],
    ['a NUL in a string', '"\0"'],
    ['a line break in a string', '"\n"'],
    ['half a surrogate pair', '"\\ud800"'],
    ['a surrogate pair in the wrong order', '"\\udc00\\ud800"'],
    ['half a surrogate pair in a key', '{"\\udfff":1}'],
    ['half an escape', '"\\u00"'],
    ['a key without quotes', '{a:1}'],
    ['a word with more behind it', 'trueish'],
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

  it('takes what JSON.parse takes, and refuses the rest with a JsonTextError', () => {
    const piece = fc.constantFrom(
      ...['{', '}', '[', ']', ':', ',', '"', '\\', '"a"', '"b":', '1', '0', '-', '.', 'e', '+'],
      ...[' ', '\n', '\t', '\v', '\u00a0', 'null', 'true', 'u0041', '\u0000', '\u007f'],
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 16 }), (pieces) => {
        const text = pieces.join('');
        const expected = accepted(text);
        try {
          expect(toDoubles(parse(text))).to.deep.equal(expected?.value);
        } catch (error) {
          if (!(error instanceof JsonTextError)) throw error;
          expect(expected === undefined || / twice$/.test(error.message), text).to.equal(true);
        }
      }),
      { numRuns: 20_000 },
    );
  });
});

function accepted(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** As JSON.parse gives it: large integers as doubles. */
function toDoubles(json: ExactJson): unknown {
  if (typeof json === 'bigint') return Number(json);
  if (Array.isArray(json)) return json.map(toDoubles);
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, toDoubles(value)]));
}
