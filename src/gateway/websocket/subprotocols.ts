/**
 * What a client offers in `sec-websocket-protocol`: the protocol to speak, and
 * from a browser, which cannot set headers, its API key too:
 *
 *     wrenn.v1.json, wrenn.auth.<unpadded base64url of the key>
 */
import { Code, WrennError } from '../../../lib/errors/index.js';
import { SUBPROTOCOL } from './limits.js';

/** What stands before the key. */
export const AUTH_PREFIX = 'wrenn.auth.';
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const PRINTABLE_ASCII = /^[\x21-\x7e]+$/;

/**
 * The API key among the offers, or undefined when there is none.
 * @throws INVALID_ARGUMENT when the offers lack the protocol, UNAUTHENTICATED
 *   when the key is malformed or stands there twice. No error repeats an offer.
 */
export function readSubprotocols(header: string | undefined): { apiKey: string | undefined } {
  const offers = (header ?? '').split(',').map((offer) => offer.trim());
  const credentials = offers.filter((offer) => offer.startsWith(AUTH_PREFIX));
  if (credentials.length > 1) throw invalidCredential('more than one subprotocol holds an API key');
  const keys = credentials.map((offer) => decodeKey(offer.slice(AUTH_PREFIX.length)));
  const isWellFormed = offers.every((offer) => TOKEN.test(offer));
  if (!isWellFormed || new Set(offers).size !== offers.length || !offers.includes(SUBPROTOCOL)) {
    throw new WrennError(
      Code.INVALID_ARGUMENT,
      'INVALID_REQUEST',
      `offer the subprotocol ${SUBPROTOCOL}, and each one once`,
    );
  }
  return { apiKey: keys[0] };
}

/** The refusal of a credential that cannot be read, whatever it is. */
export function invalidCredential(message: string): WrennError {
  return new WrennError(Code.UNAUTHENTICATED, 'CREDENTIAL_INVALID', message);
}

/** Takes the one spelling of a key only, so that a key is never two subprotocols. */
function decodeKey(encoded: string): string {
  const bytes = Buffer.from(encoded, 'base64url');
  const key = bytes.toString('latin1');
  if (bytes.toString('base64url') !== encoded || !PRINTABLE_ASCII.test(key)) {
    throw invalidCredential('the subprotocol of the API key is not its unpadded base64url');
  }
  return key;
}
