/**
 * Pipes for the input and output of programs. Node would give a program sockets, and a
 * program cannot open a socket by name: `echo text > /dev/stderr` would fail.
 * Node cannot make pipes, so wrenn-guest makes them, some ahead of use.
 */
import { spawn } from 'node:child_process';
import { closeSync, constants, fchownSync, openSync } from 'node:fs';
import type { Readable } from 'node:stream';

/** Pipes that are made in one go. */
const BATCH_SIZE = 32;
/** With fewer than these in stock the next batch is made. */
const LOW_WATER = 16;
const MAKE_TIMEOUT_MS = 10_000;
/** Descriptors of the maker, one for each pipe. */
const ANSWER = /^\d+(?: \d+)*\n$/;
const ANSWER_LENGTH_MAX = 1024;

export interface Pipe {
  /** Descriptor of the end that is read; the daemon's does not block. */
  readFd: number;
  /** Descriptor of the end that is written; the daemon's does not block. */
  writeFd: number;
}

/** Whose user may open the program's end by name (/dev/stdout). */
interface Owner {
  uid: number;
  gid: number;
}

export class PipeStock {
  readonly #helperPath: string;
  /** Pipes that nobody has taken, each open in both directions at one descriptor. */
  readonly #stock: number[] = [];
  #making: Promise<void> | undefined;

  /** @param helperPath wrenn-guest. */
  constructor(helperPath: string) {
    this.#helperPath = helperPath;
  }

  /** Makes the first batch ahead of use. A failure shows at the next `take`. */
  prepare(): void {
    this.#make().catch(() => undefined);
  }

  /** Takes a pipe that the program writes and the daemon reads. */
  take(owner: Owner): Promise<Pipe> {
    const { O_RDONLY, O_WRONLY, O_NONBLOCK } = constants;
    return this.#open(owner, { read: O_RDONLY | O_NONBLOCK, write: O_WRONLY });
  }

  /** Takes a pipe that the daemon writes and the program reads. */
  takeForInput(owner: Owner): Promise<Pipe> {
    const { O_RDONLY, O_WRONLY, O_NONBLOCK } = constants;
    return this.#open(owner, { read: O_RDONLY, write: O_WRONLY | O_NONBLOCK });
  }

  async #open(owner: Owner, flags: { read: number; write: number }): Promise<Pipe> {
    const fd = await this.#takeFromStock();
    try {
      fchownSync(fd, owner.uid, owner.gid);
      const readFd = openAgain(fd, flags.read);
      try {
        return { readFd, writeFd: openAgain(fd, flags.write) };
      } catch (error) {
        closeSync(readFd);
        throw error;
      }
    } finally {
      closeSync(fd);
    }
  }

  async #takeFromStock(): Promise<number> {
    let fd = this.#stock.pop();
    while (fd === undefined) {
      await this.#make();
      fd = this.#stock.pop();
    }
    if (this.#stock.length < LOW_WATER) this.prepare();
    return fd;
  }

  #make(): Promise<void> {
    this.#making ??= this.#makeBatch().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #makeBatch(): Promise<void> {
    const maker = spawn(this.#helperPath, ['pipes', String(BATCH_SIZE)], {
      ...{ cwd: '/', env: {}, stdio: ['pipe', 'pipe', 'ignore'], timeout: MAKE_TIMEOUT_MS },
      killSignal: 'SIGKILL',
    });
    const failed = new Promise<never>((_resolve, reject) => maker.once('error', reject));
    // Its end before it was told to is told by the end of its answer.
    maker.stdin.on('error', () => undefined);
    try {
      const descriptors = await Promise.race([readAnswer(maker.stdout), failed]);
      for (const descriptor of descriptors) {
        this.#stock.push(openSync(`/proc/${maker.pid}/fd/${descriptor}`, constants.O_RDWR));
      }
    } finally {
      maker.stdin.destroy();
      maker.stdout.destroy();
    }
  }
}

async function readAnswer(stdout: Readable): Promise<string[]> {
  let text = '';
  for await (const chunk of stdout) {
    text += String(chunk);
    if (ANSWER.test(text)) return text.trimEnd().split(' ');
    if (text.length > ANSWER_LENGTH_MAX) break;
  }
  throw new Error('no pipes were made');
}

/** A descriptor of its own for one direction, with its own way to wait. */
function openAgain(fd: number, flags: number): number {
  return openSync(`/proc/self/fd/${fd}`, flags);
}
