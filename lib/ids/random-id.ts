import { randomBytes } from 'node:crypto';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

/**
 * A random id of lower-case letters and digits, so that it fits a hostname
 * label, a path and a column. The default of 26 characters holds 130 random bits.
 */
export function randomId(length = 26): string {
  return Array.from(randomBytes(length), (byte) => ALPHABET[byte & 31]).join('');
}
