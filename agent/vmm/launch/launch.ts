/**
 * Starts a VMM process: confined (confinement.ts), in a session of its own and
 * without any pipe to the agent, so that it outlives whoever started it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import { type Confinement, confinedCommand } from './confinement.js';
import type { MessagePipe } from './message-pipe.js';
import { identifyProcess, type ProcessIdentity } from './process-table.js';

/** What the launcher's programs and the VMM see; nothing of the agent's environment. */
const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };

/** What a VMM gets from the agent beside its arguments. */
export interface Inheritance {
  /** Variables that the VMM alone sees, and none of the steps before it. */
  environment: Readonly<Record<string, string>>;
  /** Open files; the VMM has them as descriptors from FIRST_INHERITED_FD on, in this order. */
  files: readonly FileHandle[];
}

/** Standard input, output and error come before it, and the launcher's own pipe. */
export const FIRST_INHERITED_FD = 4;
/** The launcher's shells know descriptors of one digit. */
export const INHERITED_FILES_MAX = 6;

export interface LaunchedProcess extends ProcessIdentity {
  /** How it ended, such as `exit code 1`; resolves when it has. */
  ended: Promise<string>;
}

/**
 * Starts `program` (an absolute path, then its arguments).
 * @param messages becomes its standard error, and that of each step before it.
 * @param inheritance stays the caller's to close.
 * @throws Error when it cannot be started, or ends at once.
 */
export async function launch(
  program: readonly string[],
  confinement: Confinement,
  messages: MessagePipe,
  inheritance: Inheritance = { environment: {}, files: [] },
): Promise<LaunchedProcess> {
  const { environment, files } = inheritance;
  if (files.length > INHERITED_FILES_MAX) throw new Error('too many files to inherit');
  const [command = '', ...args] = confinedCommand(confinement, [
    ...environmentCommand(environment),
    ...program,
  ]);
  const child = spawn(command, args, {
    cwd: '/',
    detached: true,
    env: ENVIRONMENT,
    stdio: ['ignore', 'ignore', 'ignore', messages.fd, ...files.map(openFd)],
  });
  const ended = endOf(child);
  child.unref();
  const identity = child.pid === undefined ? undefined : await identifyProcess(child.pid);
  if (!identity) throw new Error(`the VMM process ended at once: ${await ended}`);
  return { ...identity, ended };
}

/** The number of a file that was closed may be another file's by now. */
function openFd({ fd }: FileHandle): number {
  if (fd < 0) throw new Error('a file to inherit is closed');
  return fd;
}

function environmentCommand(environment: Inheritance['environment']): string[] {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return variables.length > 0 ? ['/usr/bin/env', ...variables] : [];
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) =>
      resolve(signal ? `killed by ${signal}` : `exit code ${code}`),
    );
  });
}
