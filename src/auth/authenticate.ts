/**
 * Finds out who calls, before the request is decoded: size of the metadata,
 * then the credential that the method's policy asks for. A method without a
 * policy is refused.
 */
import type { Metadata } from '@grpc/grpc-js';
import { Code, WrennError } from '../../lib/errors/index.js';
import type { UserStore } from '../store/user.js';
import type { ApiKeyVerifier } from './api-key-verifier.js';
import type { AccessTokens } from './jwt.js';
import type { AuthPolicy } from './policy.js';
import type { Principal } from './principal.js';

/** Size of all metadata of a call, names and values. */
export const METADATA_BYTES_MAX = 16 * 1024;
export const METADATA_PAIRS_MAX = 64;

const BEARER = /^Bearer ([^\s]+)$/i;

export interface AuthenticateOptions {
  policy: AuthPolicy;
  tokens: AccessTokens;
  apiKeys: ApiKeyVerifier;
  users: UserStore;
}

export type Authenticate = (path: string, metadata: Metadata) => Promise<Principal>;

export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  return async (path, metadata) => {
    checkSize(metadata);
    switch (options.policy.get(path)) {
      case 'none':
        return { kind: 'anybody' };
      case 'user':
        return authenticateUser(options, metadata);
      case 'api-key':
        return authenticateTeam(options, metadata);
      default:
        throw new Error(`no policy for ${path}`);
    }
  };
}

async function authenticateUser(
  { tokens, users }: AuthenticateOptions,
  metadata: Metadata,
): Promise<Principal> {
  const header = single(metadata, 'authorization');
  if (header === undefined) {
    throw absent(metadata, 'x-api-key', 'this method takes an access token: authorization: Bearer');
  }
  const token = BEARER.exec(header)?.[1];
  if (token === undefined) throw invalid('the header authorization must be: Bearer <access token>');
  const membership = await users.find(tokens.verify(token));
  if (!membership) throw invalid('the user of the access token no longer exists');
  return { kind: 'user', ...membership };
}

async function authenticateTeam(
  { apiKeys }: AuthenticateOptions,
  metadata: Metadata,
): Promise<Principal> {
  const secret = single(metadata, 'x-api-key');
  if (secret === undefined) {
    throw absent(metadata, 'authorization', 'this method takes an API key: x-api-key');
  }
  return { kind: 'team', ...(await apiKeys.verify(secret)) };
}

/** The value of a header; an empty one is none. */
function single(metadata: Metadata, name: string): string | undefined {
  const values = metadata.get(name);
  if (values.length > 1) throw invalid(`the header ${name} must stand there once`);
  return values[0]?.toString() || undefined;
}

/** No credential at all is missing; one of the other kind is the wrong one. */
function absent(metadata: Metadata, other: string, message: string): WrennError {
  return metadata.get(other).length > 0
    ? invalid(message)
    : new WrennError(Code.UNAUTHENTICATED, 'CREDENTIAL_MISSING', message);
}

function invalid(message: string): WrennError {
  return new WrennError(Code.UNAUTHENTICATED, 'CREDENTIAL_INVALID', message);
}

function checkSize(metadata: Metadata): void {
  let pairs = 0;
  let bytes = 0;
  for (const [name, values] of Object.entries(metadata.toJSON())) {
    for (const value of values) {
      pairs += 1;
      bytes += name.length + value.length;
    }
  }
  if (pairs <= METADATA_PAIRS_MAX && bytes <= METADATA_BYTES_MAX) return;
  throw new WrennError(
    Code.INVALID_ARGUMENT,
    'INVALID_REQUEST',
    `the call's metadata must not exceed ${METADATA_PAIRS_MAX} pairs and ${METADATA_BYTES_MAX} bytes`,
  );
}
