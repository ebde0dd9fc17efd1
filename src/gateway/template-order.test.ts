import { expect } from 'chai';
import fc from 'fast-check';
import { matchTemplate, parseTemplate } from './path-template.js';
import { parseTarget } from './request-path.js';
import { bySpecificity, relate } from './template-order.js';

function relation(a: string, b: string) {
  return relate(parseTemplate(a), parseTemplate(b));
}

describe('relate', () => {
  const cases: [string, string, string][] = [
    ['/a/b', '/a/c', 'disjoint'],
    ['/a', '/a/b', 'disjoint'],
    ['/a/b', '/a/{x}', 'narrower'],
    ['/a/{x}', '/a/**', 'narrower'],
    ['/a', '/a/**', 'narrower'],
    ['/a/{x}/**', '/a/**', 'narrower'],
    ['/a/{x}', '/a/{y}', 'same'],
    ['/a/{x=b/*}', '/a/b/{y}', 'same'],
    ['/a/**', '/a/{p=**}', 'same'],
    ['/{x}/b', '/a/{y}', 'crossing'],
    ['/a/b/**', '/a/{x}/c', 'crossing'],
    ['/a/{x}:go', '/a/{x}', 'narrower'],
    ['/a/{x}:go', '/a/{x}:stop', 'disjoint'],
    ['/a/{x}:go', '/a/b', 'disjoint'],
    ['/a/**:go', '/a/{x}', 'crossing'],
    ['/a/b:go', '/a/{x}:go', 'narrower'],
  ];
  const reverse: Record<string, string> = { narrower: 'wider', wider: 'narrower' };
  for (const [a, b, expected] of cases) {
    it(`finds ${a} ${expected} against ${b}`, () => {
      expect(relation(a, b)).to.equal(expected);
      expect(relation(b, a)).to.equal(reverse[expected] ?? expected);
    });
  }
});

describe('relate and bySpecificity', () => {
  const segment = fc.constantFrom('a', 'b', '*');
  const template = fc
    .tuple(
      fc.array(segment, { minLength: 1, maxLength: 3 }),
      fc.constantFrom('', '/**'),
      fc.constantFrom('', ':go'),
    )
    .map(([segments, rest, verb]) => parseTemplate(`/${segments.join('/')}${rest}${verb}`));
  const path = fc
    .tuple(fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(
      ([segments, hasVerb]) => parseTarget(`/${segments.join('/')}${hasVerb ? ':go' : ''}`).path,
    );

  it('agree with what the templates match', () => {
    fc.assert(
      fc.property(template, template, path, (a, b, requestPath) => {
        const matchesA = matchTemplate(a, requestPath) !== undefined;
        const matchesB = matchTemplate(b, requestPath) !== undefined;
        const found = relate(a, b);
        if (matchesA && matchesB) expect(found).to.not.equal('disjoint');
        if (found === 'same') expect(matchesA).to.equal(matchesB);
        if (found === 'narrower' && a.verb === b.verb && matchesA) expect(matchesB).to.equal(true);
        if (found === 'narrower') expect(bySpecificity(a, b)).to.be.lessThan(0);
      }),
      { numRuns: 5000 },
    );
  });
});
