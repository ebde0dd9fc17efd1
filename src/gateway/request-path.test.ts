import { expect } from 'chai';
import fc from 'fast-check';
import { WrennError } from '../../lib/errors/index.js';
import { matchTemplate, parseTemplate } from './path-template.js';
import { parseTarget } from './request-path.js';

function reasonOf(target: string): string | undefined {
  try {
    parseTarget(target);
    return undefined;
  } catch (error) {
    return (error as WrennError).reason;
  }
}

describe('parseTarget', () => {
  it('splits path and query without decoding them', () => {
    expect(parseTarget('/v1/a%2Fb?c=%26&d')).to.deep.equal({
      path: { rawSegments: ['v1', 'a%2Fb'] },
      query: 'c=%26&d',
    });
  });

  it('takes the absolute form of a proxy', () => {
    expect(parseTarget('http://host:1/v1/a?b').path.rawSegments).to.deep.equal(['v1', 'a']);
    expect(parseTarget('http://host?b')).to.deep.equal({ path: { rawSegments: [''] }, query: 'b' });
  });

  const refused = [
    '/v1/../etc',
    '/v1/.',
    '/v1/%2e%2E/x',
    '/v1/.%2e',
    '/v1/a%2F..%2Fb',
    '/v1/..%2f',
    '/v1/%',
    '/v1/%zz',
    '/v1/%ff',
    '/v1/%c0%ae',
    '/v1/%ed%a0%80',
    '/v1/\u00e9',
    '/v1/a b',
    '/v1/a#b',
    '*',
    'v1',
    '',
  ];
  for (const target of refused) {
    it(`refuses ${JSON.stringify(target)}`, () => {
      expect(reasonOf(target)).to.equal('INVALID_REQUEST');
    });
  }

  it('does not take what is only twice encoded for a dot segment', () => {
    const template = parseTemplate('/v1/{id}');
    const { path } = parseTarget('/v1/%252e%252e');
    expect(matchTemplate(template, path)?.get('id')).to.equal('%2e%2e');
  });

  it('keeps dots that are no segment of their own', () => {
    expect(reasonOf('/v1/...')).to.equal(undefined);
    expect(reasonOf('/v1/..a')).to.equal(undefined);
    expect(reasonOf('/v1/a.b')).to.equal(undefined);
  });

  it('either parses or refuses, and never lets a dot segment through', () => {
    const template = parseTemplate('/{path=**}');
    const piece = fc.constantFrom(
      '/',
      '.',
      '..',
      '%2e',
      '%2E',
      '%2f',
      '%5c',
      '%25',
      '%',
      'a',
      '%00',
    );
    const targets = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`);
    fc.assert(
      fc.property(targets, (target) => {
        let value: string | undefined;
        try {
          value = matchTemplate(template, parseTarget(target).path)?.get('path');
        } catch (error) {
          expect(error).to.be.instanceOf(WrennError);
          return;
        }
        const segments = (value ?? '').split(/\/|%2f/i);
        expect(segments).to.not.include.members(['..']);
        expect(segments.filter((segment) => segment === '.' || segment === '..')).to.deep.equal([]);
      }),
      { numRuns: 2000 },
    );
  });
});
