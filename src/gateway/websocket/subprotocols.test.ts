import { expect } from 'chai';
import fc from 'fast-check';
import { Code } from '../../../lib/errors/index.js';
import { rejectionOf } from '../../../test/support/rejection.js';
import { readSubprotocols } from './subprotocols.js';

const printableKey = fc.string({
  unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
  minLength: 1,
  maxLength: 200,
});

function offerOf(key: string): string {
  return `wrenn.auth.${Buffer.from(key).toString('base64url')}`;
}

async function refusalOf(header: string | undefined) {
  return rejectionOf((async () => readSubprotocols(header))());
}

describe('the subprotocols of a WebSocket', () => {
  it('may be the protocol alone', () => {
    expect(readSubprotocols('wrenn.v1.json').apiKey).to.equal(undefined);
    expect(readSubprotocols(' other , wrenn.v1.json').apiKey).to.equal(undefined);
  });

  it('hold any printable key', () => {
    fc.assert(
      fc.property(printableKey, (key) => {
        expect(readSubprotocols(`wrenn.v1.json, ${offerOf(key)}`).apiKey).to.equal(key);
      }),
    );
  });

  it('hold a key in one spelling only, whatever else is tried', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii', maxLength: 40 }), (text) => {
        const spelling = text.replaceAll(',', '').trim();
        let key: string | undefined;
        try {
          key = readSubprotocols(`wrenn.v1.json,wrenn.auth.${spelling}`).apiKey;
        } catch {
          return;
        }
        expect(offerOf(key ?? '')).to.equal(`wrenn.auth.${spelling}`);
      }),
    );
  });

  for (const header of [
    undefined,
    '',
    'other',
    'WRENN.V1.JSON',
    'wrenn.v1.json,wrenn.v1.json',
    'wrenn.v1.json,',
    'wrenn.v1.json, a b',
  ]) {
    it(`are refused as ${JSON.stringify(header)}`, async () => {
      expect(await refusalOf(header)).to.include({
        code: Code.INVALID_ARGUMENT,
        reason: 'INVALID_REQUEST',
      });
    });
  }

  it('hold one key at most', async () => {
    const header = `wrenn.v1.json,${offerOf('a')},${offerOf('b')}`;
    expect(await refusalOf(header)).to.include({
      code: Code.UNAUTHENTICATED,
      reason: 'CREDENTIAL_INVALID',
    });
  });
});
