/**
 * The secret of an API key:
 *
 *     wrn_key_<28 base62 characters: 166 random bits><6: CRC-32 of all before>
 *
 * The prefix lets scanners find a leaked one, the checksum lets them and us
 * tell a real one without asking anybody. Only its SHA-256 is stored: so many
 * random bits need no slow hash.
 */
import { createHash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

const PREFIX = 'wrn_key_';
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const RANDOM_CHARACTERS = 28;
const CHECKSUM_CHARACTERS = 6;
/** Of the random part, enough to recognise a key by and too little to help guessing it. */
const SHOWN_RANDOM_CHARACTERS = 4;
const FORM = new RegExp(`^${PREFIX}[0-9A-Za-z]{${RANDOM_CHARACTERS + CHECKSUM_CHARACTERS}}$`);

export function generateApiKeySecret(): string {
  const random = Array.from({ length: RANDOM_CHARACTERS }, () => ALPHABET[randomInt(62)]).join('');
  return PREFIX + random + checksum(PREFIX + random);
}

/** Whether a text has the form of a secret and its checksum is right. */
export function isApiKeySecret(text: string): boolean {
  return (
    FORM.test(text) &&
    checksum(text.slice(0, -CHECKSUM_CHARACTERS)) === text.slice(-CHECKSUM_CHARACTERS)
  );
}

/** What is stored of a secret. */
export function hashApiKeySecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** What may be shown of a secret. */
export function apiKeyPrefix(secret: string): string {
  return secret.slice(0, PREFIX.length + SHOWN_RANDOM_CHARACTERS);
}

function checksum(text: string): string {
  let rest = crc32(text);
  let encoded = '';
  for (let digit = 0; digit < CHECKSUM_CHARACTERS; digit += 1) {
    encoded = `${ALPHABET[rest % 62]}${encoded}`;
    rest = Math.floor(rest / 62);
  }
  return encoded;
}
