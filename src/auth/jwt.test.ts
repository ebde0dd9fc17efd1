import { createSecretKey, generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import jwt from 'jsonwebtoken';
import { AccessTokens } from './jwt.js';

const SECRET = 'a secret of more than thirty-two characters';
const CLAIMS = { iss: 'wrenn', aud: 'wrenn.v1', sub: 'user1', jti: 'token1' };

describe('AccessTokens', () => {
  const key = createSecretKey(Buffer.from(SECRET));
  const tokens = new AccessTokens(key);
  const inAnHour = Math.floor(Date.now() / 1000) + 3600;

  it('names the user for whom it was issued', () => {
    expect(tokens.verify(tokens.issue('user1').token)).to.equal('user1');
  });

  it('gives each token an id of its own', () => {
    expect(tokens.issue('user1').token).not.to.equal(tokens.issue('user1').token);
  });

  it('expires when it says so', () => {
    let now = Date.now();
    const clocked = new AccessTokens(key, () => now);
    const { token, expiresAt } = clocked.issue('user1');
    now = expiresAt.getTime() - 1000;
    expect(clocked.verify(token)).to.equal('user1');
    now = expiresAt.getTime();
    expect(reasonOf(() => clocked.verify(token))).to.equal('CREDENTIAL_EXPIRED');
  });

  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const forged: Record<string, string> = {
    'an empty text': '',
    'no JWT at all': 'abc',
    'two parts': 'eyJhbGciOiJIUzI1NiJ9.e30',
    'a token without a signature': jwt.sign({ ...CLAIMS, exp: inAnHour }, '', {
      algorithm: 'none',
    }),
    'a token of another secret': jwt.sign(
      { ...CLAIMS, exp: inAnHour },
      'another secret of that length!!!',
    ),
    'HS512 with the right secret': jwt.sign({ ...CLAIMS, exp: inAnHour }, SECRET, {
      algorithm: 'HS512',
    }),
    RS256: jwt.sign({ ...CLAIMS, exp: inAnHour }, privateKey, { algorithm: 'RS256' }),
    'another issuer': jwt.sign({ ...CLAIMS, iss: 'other', exp: inAnHour }, SECRET),
    'another audience': jwt.sign({ ...CLAIMS, aud: 'other', exp: inAnHour }, SECRET),
    'no expiry': jwt.sign(CLAIMS, SECRET),
    'no subject': jwt.sign({ ...CLAIMS, sub: undefined, exp: inAnHour }, SECRET),
    'no id': jwt.sign({ ...CLAIMS, jti: undefined, exp: inAnHour }, SECRET),
    'a time that has not come': jwt.sign({ ...CLAIMS, nbf: inAnHour, exp: inAnHour }, SECRET),
    'a hundred kilobytes': `${tokens.issue('user1').token}${'A'.repeat(100_000)}`,
  };
  for (const [what, token] of Object.entries(forged)) {
    it(`refuses ${what}`, () => {
      expect(reasonOf(() => tokens.verify(token))).to.equal('CREDENTIAL_INVALID');
    });
  }

  it('refuses every other spelling of its own signature', () => {
    const { token } = tokens.issue('user1');
    const signature = token.slice(token.lastIndexOf('.') + 1);
    const start = token.slice(0, -signature.length);
    // The last of 43 characters carries 4 bits of the signature and 2 that must be zero.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(signature.slice(-1));
    const others = [1, 2, 3].map((bits) => signature.slice(0, -1) + alphabet[last | bits]);
    const spellings = [
      ...others,
      `${signature}=`,
      `${signature}==`,
      `${signature} `,
      `${signature}\n`,
    ];
    for (const spelling of spellings) {
      expect(reasonOf(() => tokens.verify(start + spelling))).to.equal('CREDENTIAL_INVALID');
    }
  });
});

function reasonOf(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return (error as { reason?: string }).reason;
  }
}
