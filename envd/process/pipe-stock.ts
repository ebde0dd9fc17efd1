/**
 * Pipes for the input and output of programs. Node would give a program sockets, and a
 * program cannot open a socket by name: `echo text > /dev/stderr` would fail.
 * Node cannot make pipes, so busybox makes named ones, some ahead of use; a
 * pipe loses its name when it is taken.
 */
import { closeSync, constants, fchownSync, mkdirSync, openSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../lib/process/run.js';

/** Pipes that are made in one go. */
const BATCH_SIZE = 32;
/** With fewer than these in stock the next batch is made. */
const LOW_WATER = 16;
const MAKE_TIMEOUT_MS = 10_000;

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
  readonly #directory: string;
  readonly #busyboxPath: string;
  #paths: string[] = [];
  #made = 0;
  #making: Promise<void> | undefined;

  /** @param directory folder of its own; what an earlier daemon left in it is removed. */
  constructor(directory: string, busyboxPath: string) {
    this.#directory = directory;
    this.#busyboxPath = busyboxPath;
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** Makes the first batch ahead of use. A failure shows at the next `take`. */
  prepare(): void {
    this.#make().catch(() => undefined);
  }

  /** Takes a pipe that the program writes and the daemon reads. */
  async take(owner: Owner): Promise<Pipe> {
    return openForOutput(await this.#takePath(), owner);
  }

  /** Takes a pipe that the daemon writes and the program reads. */
  async takeForInput(owner: Owner): Promise<Pipe> {
    return openForInput(await this.#takePath(), owner);
  }

  async #takePath(): Promise<string> {
    let path = this.#paths.pop();
    while (path === undefined) {
      await this.#make();
      path = this.#paths.pop();
    }
    if (this.#paths.length < LOW_WATER) this.prepare();
    return path;
  }

  #make(): Promise<void> {
    this.#making ??= this.#makeBatch().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #makeBatch(): Promise<void> {
    const paths = Array.from({ length: BATCH_SIZE }, () =>
      join(this.#directory, String(++this.#made)),
    );
    await run(this.#busyboxPath, ['mkfifo', '-m', '600', ...paths], { timeoutMs: MAKE_TIMEOUT_MS });
    this.#paths.push(...paths);
  }
}

function openForOutput(path: string, owner: Owner): Pipe {
  // Opened for reading first, and without waiting for a writer, so that neither open waits.
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const writeFd = openSync(path, constants.O_WRONLY);
    fchownSync(writeFd, owner.uid, owner.gid);
    return { readFd, writeFd };
  } catch (error) {
    closeSync(readFd);
    throw error;
  } finally {
    unlinkSync(path);
  }
}

function openForInput(path: string, owner: Owner): Pipe {
  // A reader who does not wait lets the writer in, and the writer the program's own end, which
  // must be one that blocks.
  const readerFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  let writeFd: number | undefined;
  try {
    writeFd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    fchownSync(writeFd, owner.uid, owner.gid);
    return { readFd: openSync(path, constants.O_RDONLY), writeFd };
  } catch (error) {
    if (writeFd !== undefined) closeSync(writeFd);
    throw error;
  } finally {
    closeSync(readerFd);
    unlinkSync(path);
  }
}
