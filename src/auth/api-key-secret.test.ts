import { expect } from 'chai';
import fc from 'fast-check';
import { redactText } from '../../lib/log/redact.js';
import { apiKeyPrefix, generateApiKeySecret, isApiKeySecret } from './api-key-secret.js';

describe('secrets of API keys', () => {
  it('have a fixed form, are never the same, and pass their own check', () => {
    const secrets = Array.from({ length: 1000 }, generateApiKeySecret);
    expect(new Set(secrets).size).to.equal(1000);
    for (const secret of secrets) {
      expect(secret).to.match(/^wrn_key_[0-9A-Za-z]{34}$/);
      expect(isApiKeySecret(secret)).to.equal(true);
    }
  });

  it('fail their check when any one character is another', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 33 }),
        fc.constantFrom(...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'),
        (index, character) => {
          const secret = generateApiKeySecret();
          const at = 'wrn_key_'.length + index;
          fc.pre(secret[at] !== character);
          const changed = secret.slice(0, at) + character + secret.slice(at + 1);
          expect(isApiKeySecret(changed)).to.equal(false);
        },
      ),
    );
  });

  it('are told from other texts', () => {
    const secret = generateApiKeySecret();
    for (const text of [
      '',
      'wrn_key_',
      ` ${secret}`,
      `${secret}\n`,
      `${secret}0`,
      secret.slice(4),
    ]) {
      expect(isApiKeySecret(text), text).to.equal(false);
    }
  });

  it('show four random characters, and none at all in a log', () => {
    const secret = generateApiKeySecret();
    expect(apiKeyPrefix(secret)).to.have.length('wrn_key_'.length + 4);
    expect(redactText(`before ${secret} after`)).not.to.include(secret.slice(8));
  });
});
