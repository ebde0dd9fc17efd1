import { expect } from 'chai';
import fc from 'fast-check';
import { matchTemplate, parseTemplate } from './path-template.js';
import { parseTarget } from './request-path.js';

/** The variables that a path gives by a template, or undefined. */
function match(template: string, path: string): Record<string, string> | undefined {
  const values = matchTemplate(parseTemplate(template), parseTarget(path).path);
  return values && Object.fromEntries(values);
}

describe('parseTemplate', () => {
  const accepted = [
    '/v1/sandboxes',
    '/v1/{id}',
    '/v1/{a.b.c}',
    '/v1/{name=shelves/*/books/*}',
    '/v1/{name=**}',
    '/v1/*/x',
    '/**',
    '/v1/{id}:cancel',
    '/v1/files/{path=**}:read',
    '/v1/a-b_c.d~e/%41',
  ];
  for (const text of accepted) {
    it(`takes ${text}`, () => {
      expect(parseTemplate(text).text).to.equal(text);
    });
  }

  const refused = [
    '',
    'v1',
    '/',
    '//a',
    '/a/',
    '/a//b',
    '/{}',
    '/{1a}',
    '/{a..b}',
    '/{a',
    '/a}',
    '/{a=}',
    '/{a={b}}',
    '/{a}b',
    '/a{b}',
    '/a*',
    '/**/a',
    '/{a=**}/b',
    '/{a}/{a}',
    '/a:',
    '/a:b:c',
    '/a:b/c',
    '/a?b',
    '/a#b',
    '/a b',
    '/***',
  ];
  for (const text of refused) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => parseTemplate(text)).to.throw(/path template/);
    });
  }

  it('either parses a text or throws a plain error', () => {
    const texts = fc.string({ unit: fc.constantFrom(...'/{}*:=.ab1%') });
    fc.assert(
      fc.property(texts, (text) => {
        try {
          parseTemplate(text);
        } catch (error) {
          expect((error as Error).message).to.contain('path template');
        }
      }),
    );
  });
});

describe('matchTemplate', () => {
  it('binds a variable to one segment', () => {
    expect(match('/v1/sandboxes/{id}', '/v1/sandboxes/abc')).to.deep.equal({ id: 'abc' });
  });

  it('does not bind a variable to no segment or to several', () => {
    expect(match('/v1/sandboxes/{id}', '/v1/sandboxes')).to.equal(undefined);
    expect(match('/v1/sandboxes/{id}', '/v1/sandboxes/')).to.equal(undefined);
    expect(match('/v1/sandboxes/{id}', '/v1/sandboxes/a/b')).to.equal(undefined);
  });

  it('tells an empty segment from none', () => {
    expect(match('/v1/a', '/v1/a/')).to.equal(undefined);
    expect(match('/v1/a', '/v1//a')).to.equal(undefined);
    expect(match('/v1/**', '/v1/a//b')).to.equal(undefined);
  });

  it('decodes a variable of one segment whole', () => {
    expect(match('/v1/{id}', '/v1/a%2Fb%20c%C3%A9')).to.deep.equal({ id: 'a/b cé' });
  });

  it('leaves escaped slashes in a variable of several segments', () => {
    expect(match('/v1/{path=**}', '/v1/a%2fb/c%20d')).to.deep.equal({ path: 'a%2fb/c d' });
    expect(match('/v1/{n=x/*}', '/v1/x/a%2Fb')).to.deep.equal({ n: 'x/a%2Fb' });
  });

  it('decodes once only', () => {
    expect(match('/v1/{id}', '/v1/%2541')).to.deep.equal({ id: '%41' });
    expect(match('/v1/{path=**}', '/v1/%252F')).to.deep.equal({ path: '%2F' });
  });

  it('lets ** stand for nothing', () => {
    expect(match('/v1/{path=**}', '/v1')).to.deep.equal({ path: '' });
    expect(match('/v1/files/{path=**}:read', '/v1/files:read')).to.deep.equal({ path: '' });
  });

  it('binds several variables and nested fields', () => {
    expect(match('/v1/{a.b}/x/{c=d/*}', '/v1/1/x/d/2')).to.deep.equal({ 'a.b': '1', c: 'd/2' });
  });

  it('takes a verb only as it stands in the template', () => {
    expect(match('/v1/{id}:stop', '/v1/a:stop')).to.deep.equal({ id: 'a' });
    expect(match('/v1/{id}:stop', '/v1/a:b:stop')).to.deep.equal({ id: 'a:b' });
    expect(match('/v1/{id}:stop', '/v1/a')).to.equal(undefined);
    expect(match('/v1/{id}:stop', '/v1/a%3Astop')).to.equal(undefined);
    expect(match('/v1/{id}:stop', '/v1/:stop')).to.equal(undefined);
    expect(match('/v1/{id}', '/v1/a:stop')).to.deep.equal({ id: 'a:stop' });
  });

  it('compares literals decoded', () => {
    expect(match('/v1/abc/{id}', '/v1/%61bc/x')).to.deep.equal({ id: 'x' });
  });

  it('gives back every value that was encoded into a path', () => {
    const isPlain = (text: string) =>
      !text.split('/').some((part) => part === '.' || part === '..');
    const value = fc.string({ unit: 'grapheme', minLength: 1 }).filter(isPlain);
    fc.assert(
      fc.property(value, value, (first, second) => {
        const path = `/v1/${encodeURIComponent(first)}/files/${encodeURIComponent(second)}`;
        expect(match('/v1/{a}/files/{b}', path)).to.deep.equal({ a: first, b: second });
      }),
    );
  });
});
