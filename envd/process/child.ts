/** A program that was started: a process group of its own, three descriptors, and how it ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { Code, WrennError } from '../../lib/errors/index.js';
import { type GuestFailure, guestFailure } from '../../lib/guest/guest-failure.js';
import type { Command } from './command.js';

export interface Descriptors {
  /** Undefined gives an empty input. */
  stdin: number | undefined;
  stdout: number;
  stderr: number;
}

export interface Exit {
  exitCode: number;
  /** Name of the signal that ended it; empty otherwise. */
  signal: string;
  /** `performance.now()` of the end. */
  endedAt: number;
}

export interface Child {
  pid: number;
  exited: Promise<Exit>;
  /** Sends a signal to the whole process group. Only to be called while the group can still exist. */
  signal(number: number): void;
  /** Sends SIGKILL. */
  kill(): void;
}

const NOT_STARTED: Record<string, GuestFailure> = {
  // The program itself is there, so its interpreter is not.
  ENOENT: 'program_format',
  ENOEXEC: 'program_format',
  EACCES: 'program_not_executable',
  EPERM: 'program_not_executable',
  ENOTDIR: 'program_cwd',
  E2BIG: 'program_arguments',
};

/**
 * Starts a program; the descriptors may be closed when the promise is settled.
 * @throws WrennError COMMAND_NOT_FOUND or COMMAND_NOT_STARTED.
 */
export async function startChild(
  command: Command,
  descriptors: Descriptors,
  busyboxPath: string,
): Promise<Child> {
  return adoptChild(() => spawnCommand(withGroups(command, busyboxPath), descriptors));
}

/**
 * Makes a child of a process that is being started as leader of a group.
 * @throws WrennError COMMAND_NOT_FOUND or COMMAND_NOT_STARTED.
 */
export async function adoptChild(spawnProcess: () => ChildProcess): Promise<Child> {
  const child = spawnOrThrow(spawnProcess);
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => resolve(toExit(code, signal)));
  });
  const pid = await started(child);
  const signal = (number: number) => signalGroup(pid, number);
  return { pid, exited, signal, kill: () => signal(constants.signals.SIGKILL) };
}

/**
 * Node sets user and group and drops all other groups. A user with further
 * groups is therefore entered through busybox's `su`, which sets them; the
 * shell between them keeps the program's full path as its name.
 */
function withGroups(command: Command, busyboxPath: string): Command {
  if (command.account.supplementaryGids.length === 0) return command;
  const shell = ['sh', '-c', 'exec "$0" "$@"', command.path, ...command.args];
  return {
    ...command,
    path: busyboxPath,
    name: busyboxPath,
    args: ['su', '-m', '-s', busyboxPath, '--', command.account.name, ...shell],
    account: { ...command.account, uid: 0, gid: 0 },
  };
}

function spawnCommand(command: Command, { stdin, stdout, stderr }: Descriptors): ChildProcess {
  const { uid, gid } = command.account;
  return spawn(command.path, command.args, {
    argv0: command.name,
    cwd: command.cwd,
    env: command.env,
    detached: true,
    stdio: [stdin ?? 'ignore', stdout, stderr],
    // Setting them, even to the daemon's own, needs a privilege that a daemon under test may lack.
    ...(uid === process.getuid?.() && gid === process.getgid?.() ? {} : { uid, gid }),
  });
}

function spawnOrThrow(spawnProcess: () => ChildProcess): ChildProcess {
  try {
    return spawnProcess();
  } catch (error) {
    throw notStarted(error as NodeJS.ErrnoException);
  }
}

async function started(child: ChildProcess): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error: NodeJS.ErrnoException) => reject(notStarted(error)));
  });
  if (child.pid === undefined) throw guestFailure('program_not_started');
  return child.pid;
}

/** What a caller hears of an error of spawn or exec. */
export function notStarted(error: NodeJS.ErrnoException): WrennError {
  if (error.code === 'ERR_INVALID_ARG_VALUE') {
    return new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', 'a text holds a zero byte', {
      cause: error,
    });
  }
  const known = NOT_STARTED[error.code ?? ''];
  // What is the caller's own mistake needs no line on the console.
  return known ? guestFailure(known) : guestFailure('program_not_started', error);
}

function toExit(code: number | null, signal: NodeJS.Signals | null): Exit {
  const endedAt = performance.now();
  if (signal === null) return { exitCode: code ?? 0, signal: '', endedAt };
  return { exitCode: 128 + constants.signals[signal], signal, endedAt };
}

function signalGroup(pid: number, number: number): void {
  try {
    process.kill(-pid, number);
  } catch (error) {
    // Nobody is left in the group.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
