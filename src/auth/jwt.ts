/** Access tokens: JWTs signed with HS256 that name a user. */
import type { KeyObject } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { Code, WrennError } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';

const ALGORITHM = 'HS256';
const ISSUER = 'wrenn';
const AUDIENCE = 'wrenn.v1';

/**
 * A working day. A token cannot be renewed but by a new login, so less would
 * make people type their password again; and it reaches API keys only, never
 * a sandbox, so more is not needed.
 */
export const ACCESS_TOKEN_LIFETIME_SEC = 12 * 3600;
/** Longer than any token of ours. */
export const TOKEN_CHARACTERS_MAX = 1024;

export interface IssuedToken {
  token: string;
  expiresAt: Date;
}

export class AccessTokens {
  readonly #key: KeyObject;
  readonly #now: () => number;

  /** @param key the secret, at least 32 bytes. */
  constructor(key: KeyObject, now: () => number = Date.now) {
    this.#key = key;
    this.#now = now;
  }

  issue(userId: string): IssuedToken {
    const issuedAtSec = Math.floor(this.#now() / 1000);
    const expiresAtSec = issuedAtSec + ACCESS_TOKEN_LIFETIME_SEC;
    const token = jwt.sign({ iat: issuedAtSec, exp: expiresAtSec }, this.#key, {
      algorithm: ALGORITHM,
      issuer: ISSUER,
      audience: AUDIENCE,
      subject: userId,
      jwtid: randomId(),
    });
    return { token, expiresAt: new Date(expiresAtSec * 1000) };
  }

  /**
   * The id of the user whom a token names.
   * @throws CREDENTIAL_EXPIRED for one of ours that is too old.
   * @throws CREDENTIAL_INVALID for anything else that is not one of ours.
   */
  verify(token: string): string {
    if (!isCanonical(token)) throw invalidToken();
    try {
      const claims = jwt.verify(token, this.#key, {
        algorithms: [ALGORITHM],
        issuer: ISSUER,
        audience: AUDIENCE,
        clockTimestamp: Math.floor(this.#now() / 1000),
      });
      if (typeof claims === 'string' || claims.exp === undefined || !claims.sub || !claims.jti) {
        throw invalidToken();
      }
      return claims.sub;
    } catch (error) {
      if (error instanceof WrennError) throw error;
      throw error instanceof jwt.TokenExpiredError ? expiredToken() : invalidToken();
    }
  }
}

/**
 * Whether each part is base64url as an encoder writes it. The library also
 * takes other spellings of the same bytes, so one token would have many texts.
 */
function isCanonical(token: string): boolean {
  if (token.length > TOKEN_CHARACTERS_MAX) return false;
  const parts = token.split('.');
  return (
    parts.length === 3 &&
    parts.every(
      (part) => part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part,
    )
  );
}

function invalidToken(): WrennError {
  return new WrennError(
    Code.UNAUTHENTICATED,
    'CREDENTIAL_INVALID',
    'the access token is not valid; log in again',
  );
}

function expiredToken(): WrennError {
  return new WrennError(
    Code.UNAUTHENTICATED,
    'CREDENTIAL_EXPIRED',
    'the access token has expired; log in again',
  );
}
