/** Environment variables of a program in the guest. */
import type { Account } from '../accounts.js';

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export type Environment = Record<string, string>;

/**
 * What a program gets: the request's variables over the sandbox's over those
 * that follow from the user. Nothing of the daemon's own environment.
 */
export function environmentOf(
  account: Account,
  ofSandbox: Environment,
  ofRequest: Environment,
): Environment {
  return {
    HOME: account.home,
    LANG: 'C.UTF-8',
    LOGNAME: account.name,
    PATH: DEFAULT_PATH,
    SHELL: account.shell,
    USER: account.name,
    ...ofSandbox,
    ...ofRequest,
  };
}
