/** What a request to run a program means in this guest: its file, user, folder and environment. */
import { stat } from 'node:fs/promises';
import { guestFailure } from '../../lib/guest/guest-failure.js';
import { type Account, findAccount } from '../accounts.js';
import { type Environment, environmentOf } from './environment.js';
import { findProgram } from './find-program.js';

export interface Command {
  /** Absolute path of the program. */
  path: string;
  /** What the program sees as its own name. */
  name: string;
  args: string[];
  env: Environment;
  cwd: string;
  account: Account;
}

/** What Start and Launch have in common. */
export interface CommandRequest {
  cmd: string;
  args: string[];
  env: Environment;
  cwd: string;
  user: string;
}

const DEFAULT_USER = 'root';

/**
 * @param ofSandbox variables that PostInit set.
 * @throws WrennError COMMAND_NOT_FOUND or COMMAND_NOT_STARTED.
 */
export async function toCommand(request: CommandRequest, ofSandbox: Environment): Promise<Command> {
  const account = await findAccount(request.user || DEFAULT_USER);
  if (!account) throw guestFailure('program_user_unknown');
  const env = environmentOf(account, ofSandbox, request.env);
  const cwd = await workingDirectory(request.cwd, account);
  const path = await findProgram(request.cmd, env.PATH ?? '', cwd);
  return { path, name: request.cmd, args: request.args, env, cwd, account };
}

async function workingDirectory(wanted: string, account: Account): Promise<string> {
  if (wanted !== '') {
    if (!wanted.startsWith('/') || !(await isDirectory(wanted))) throw guestFailure('program_cwd');
    return wanted;
  }
  return (await isDirectory(account.home)) ? account.home : '/';
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
