/** The options that say how a program is run. */
import type { Command } from 'commander';
import { collectPair, parseWholeNumber } from './options.js';

export interface ProgramOptions {
  timeout?: number;
  env?: Record<string, string>;
  cwd?: string;
  user?: string;
}

export function addProgramOptions(command: Command): Command {
  return command
    .option('--timeout <seconds>', 'kill it after this long', parseWholeNumber)
    .option('--env <NAME=value>', 'environment variable; repeatable', collectPair)
    .option('--cwd <path>', 'working directory')
    .option('--user <name>', 'user who runs it');
}

/** The fields that ExecRequest and ProcessSpec share. */
export function programFields(cmd: string, args: string[], options: ProgramOptions) {
  const { timeout = 0, env = {}, cwd = '', user = '' } = options;
  return { cmd, args, timeoutSec: timeout, env, cwd, user };
}
