/**
 * The sandbox's token. The first PostInit after boot sets it; from then on
 * every call must carry it. It stands in a file so that a daemon that was
 * restarted still knows it.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metadata } from '@grpc/grpc-js';
import { Code, WrennError } from '../lib/errors/index.js';
import { ENVD_TOKEN_KEY } from '../lib/guest/contract.js';
import { replaceFile } from './replace-file.js';

const TOKEN_MODE = 0o600;
const TOKEN = /^[\x21-\x7e]{16,256}$/;

export class TokenStore {
  readonly #path: string;
  #token: string | undefined;

  constructor(runDirectory: string) {
    this.#path = join(runDirectory, 'envd-token');
    this.#token = readToken(this.#path);
  }

  /** Whether PostInit has been done. */
  get initialized(): boolean {
    return this.#token !== undefined;
  }

  /**
   * Admits a call that needs the token.
   * @throws WrennError FAILED_PRECONDITION before PostInit, UNAUTHENTICATED for no token or another one.
   */
  requireToken(metadata: Metadata): void {
    if (this.#token === undefined) {
      throw new WrennError(
        Code.FAILED_PRECONDITION,
        'SANDBOX_STATE',
        'the guest daemon has not been initialized',
      );
    }
    const given = metadata.get(ENVD_TOKEN_KEY)[0];
    if (typeof given !== 'string') {
      throw new WrennError(Code.UNAUTHENTICATED, 'CREDENTIAL_MISSING', 'the call has no token');
    }
    if (!equal(given, this.#token)) {
      throw new WrennError(Code.UNAUTHENTICATED, 'CREDENTIAL_INVALID', 'the token is not in force');
    }
  }

  /** Admits PostInit: anybody's before there is a token, its holder's from then on. */
  requireTokenOrNone(metadata: Metadata): void {
    if (this.initialized) this.requireToken(metadata);
  }

  /** Puts a token in force. When it cannot be kept on disk the old one stays. */
  set(token: string): void {
    replaceFile(this.#path, token, TOKEN_MODE);
    this.#token = token;
  }
}

/** @throws WrennError INVALID_ARGUMENT for a token that is too short, too long or not printable. */
export function checkToken(token: string): void {
  if (TOKEN.test(token)) return;
  throw new WrennError(
    Code.INVALID_ARGUMENT,
    'INVALID_REQUEST',
    'a token has 16 to 256 printable characters',
  );
}

function readToken(path: string): string | undefined {
  try {
    const token = readFileSync(path, 'utf8');
    return TOKEN.test(token) ? token : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Compares in a time that says nothing about where two tokens differ, nor about their lengths. */
function equal(left: string, right: string): boolean {
  return timingSafeEqual(digest(left), digest(right));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
