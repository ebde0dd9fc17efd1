/**
 * Pipes for the output of programs. Node would give a program sockets, and a
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
  /** Descriptor of the daemon's end; reading it does not block. */
  readFd: number;
  /** Descriptor of the program's end. */
  writeFd: number;
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

  /** Takes a pipe whose ends the given user may open by name (/dev/stdout). */
  async take(owner: { uid: number; gid: number }): Promise<Pipe> {
    let path = this.#paths.pop();
    while (path === undefined) {
      await this.#make();
      path = this.#paths.pop();
    }
    if (this.#paths.length < LOW_WATER) this.prepare();
    return open(path, owner);
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

function open(path: string, owner: { uid: number; gid: number }): Pipe {
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
