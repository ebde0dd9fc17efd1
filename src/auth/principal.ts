/** Who calls. */
import type { Membership } from '../store/user.js';

export type Principal =
  | { kind: 'anybody' }
  | ({ kind: 'user' } & Membership)
  | { kind: 'team'; teamId: string; apiKeyId: string };

/** The user who calls a method that asks for an access token. */
export function userOf(principal: Principal): Membership {
  if (principal.kind !== 'user') throw new Error('the method does not ask for an access token');
  return principal;
}

/** The id of the team that calls a method that asks for an API key. */
export function teamOf(principal: Principal): string {
  if (principal.kind !== 'team') throw new Error('the method does not ask for an API key');
  return principal.teamId;
}

/** The id of the API key of a caller of a method that asks for one. */
export function apiKeyOf(principal: Principal): string {
  if (principal.kind !== 'team') throw new Error('the method does not ask for an API key');
  return principal.apiKeyId;
}
