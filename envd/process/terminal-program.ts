/** A launched program on a terminal of its own: one output, and input that is typed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { getSystemErrorName } from 'node:util';
import type { TerminalSize } from '../../gen/ts/wrenn/envd/v1/process.js';
import { WrennError } from '../../lib/errors/index.js';
import { guestFailure } from '../../lib/guest/guest-failure.js';
import type { Program, ProgramOutput } from '../../lib/guest/program.js';
import { adoptChild, type Child, notStarted } from './child.js';
import type { Command } from './command.js';
import { drainOutput } from './drain-output.js';
import { InputStream } from './input-stream.js';
import { Output } from './output.js';
import { openTerminalStream } from './terminal-stream.js';

const MULTIPLEXER_PATH = '/dev/ptmx';
const TERMINAL_INDEX = /^tty-index:\s*(\d+)$/m;
/** What most terminals understand; the request's own TERM goes before it. */
export const TERMINAL_ENVIRONMENT = { TERM: 'xterm-256color' };
/** What says end of file at the start of a line; elsewhere it sends off what was typed so far. */
const END_OF_FILE = Buffer.of(4);
const NEWLINE = '\n'.charCodeAt(0);
/** What the helper says when it could not become the program. */
const FAILED_STEP = /^([a-z]+) (\d{1,4})\n$/;

/** @throws WrennError COMMAND_NOT_FOUND or COMMAND_NOT_STARTED. */
export async function startTerminalProgram(
  helperPath: string,
  command: Command,
  size: TerminalSize,
): Promise<Program> {
  const fd = openMultiplexer();
  try {
    const child = await startOnTerminal(helperPath, command, size, fd);
    keepOpen(fd, child);
    return new TerminalProgram(helperPath, command.cwd, child, fd);
  } catch (error) {
    closeSync(fd);
    throw error instanceof WrennError ? error : guestFailure('program_not_started', error);
  }
}

function openMultiplexer(): number {
  const { O_RDWR, O_NOCTTY, O_NONBLOCK } = constants;
  try {
    return openSync(MULTIPLEXER_PATH, O_RDWR | O_NOCTTY | O_NONBLOCK);
  } catch (error) {
    throw guestFailure('program_not_started', error);
  }
}

/**
 * Keeps the other end open as long as the program runs. A terminal whose other end nobody has open
 * is at its end, and would be closed; but a program may close all that it has, go on, and open its
 * terminal again.
 */
function keepOpen(fd: number, child: Child): void {
  const { O_RDWR, O_NOCTTY } = constants;
  const [, index] = TERMINAL_INDEX.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? [];
  const otherFd = openSync(`/dev/pts/${index}`, O_RDWR | O_NOCTTY);
  void child.exited.then(() => closeSync(otherFd));
}

async function startOnTerminal(
  helperPath: string,
  command: Command,
  size: TerminalSize,
  fd: number,
): Promise<Child> {
  let helper: ChildProcess | undefined;
  const child = await adoptChild(() => {
    helper = spawn(helperPath, ptyArguments(command, size), {
      cwd: command.cwd,
      env: command.env,
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore', fd],
    });
    return helper;
  });
  const status = await text(helper?.stdout as Readable);
  if (status !== '') throw failedStep(status);
  return child;
}

function ptyArguments({ path, name, args, account }: Command, { cols, rows }: TerminalSize) {
  const { uid, gid, supplementaryGids } = account;
  const numbers = [cols, rows, uid, gid].map(String);
  return ['pty', ...numbers, supplementaryGids.join(',') || '-', path, name, ...args];
}

function failedStep(status: string): WrennError {
  const [, step, number] = FAILED_STEP.exec(status) ?? [];
  const code = number === undefined ? 'EIO' : getSystemErrorName(-Number(number));
  const error = Object.assign(new Error(`${step}: ${code}`), { code });
  return step === 'program' ? notStarted(error) : guestFailure('program_not_started', error);
}

class TerminalProgram implements Program {
  readonly cwd: string;
  readonly pid: number;
  readonly exited: Program['exited'];
  readonly output: AsyncIterable<ProgramOutput>;
  readonly #helperPath: string;
  readonly #child: Child;
  readonly #terminal: Socket;
  readonly #fd: number;
  readonly #input: InputStream;
  #endsLine = true;
  #size: TerminalSize | undefined;
  #resized: Promise<void> = Promise.resolve();

  /** Takes over the descriptor of the terminal. */
  constructor(helperPath: string, cwd: string, child: Child, fd: number) {
    this.#helperPath = helperPath;
    this.cwd = cwd;
    this.pid = child.pid;
    this.#child = child;
    this.exited = child.exited;
    this.#fd = fd;
    this.#terminal = openTerminalStream(fd);
    this.#input = new InputStream(this.#terminal);
    this.output = drainAndClose(child, this.#terminal);
  }

  async write(input: Buffer): Promise<void> {
    this.#endsLine = input.at(-1) === NEWLINE;
    await this.#input.write(input);
  }

  closeInput(): void {
    const typed = this.#endsLine ? [END_OF_FILE] : [END_OF_FILE, END_OF_FILE];
    // Nobody may be there to read it.
    this.#input.write(Buffer.concat(typed)).catch(() => undefined);
  }

  /** One after the other; of those that wait only the newest counts. */
  async resize(size: TerminalSize): Promise<void> {
    this.#size = size;
    const resized = this.#resized.then(async () => {
      if (this.#size === size) await this.#resizeNow(size);
    });
    this.#resized = resized.catch(() => undefined);
    await resized;
  }

  signal(number: number): void {
    this.#child.signal(number);
  }

  async #resizeNow({ cols, rows }: TerminalSize): Promise<void> {
    if (this.#terminal.destroyed) throw guestFailure('process_ended');
    const helper = spawn(this.#helperPath, ['resize', String(cols), String(rows)], {
      cwd: '/',
      env: {},
      stdio: ['ignore', 'ignore', 'ignore', this.#fd],
    });
    const exitCode = await new Promise<number | null>((resolve, reject) => {
      helper.once('error', reject);
      helper.once('exit', resolve);
    });
    if (exitCode !== 0) throw new Error(`the terminal was not resized: ${exitCode}`);
  }
}

/** When the program has ended its terminal ends, for all that still have it. */
async function* drainAndClose(child: Child, terminal: Socket): AsyncIterable<ProgramOutput> {
  try {
    yield* drainOutput(child, new Output({ pty: terminal }));
  } finally {
    terminal.destroy();
  }
}
