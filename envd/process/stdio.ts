/** The input and the two outputs of one program, open on both sides. */
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Account } from '../accounts.js';
import type { Descriptors } from './child.js';
import { openInput } from './input-file.js';
import { InputStream } from './input-stream.js';
import { Output } from './output.js';
import type { PipeStock } from './pipe-stock.js';

export interface StdioSource {
  pipes: PipeStock;
  /** Folder for files of the daemon alone, in memory. */
  privateDirectory: string;
}

export interface Stdio {
  /** The program's ends. */
  forProgram: Descriptors;
  /** Hands over the daemon's ends of the outputs. */
  takeOutput(): Output;
  /** Hands over the daemon's end of the input; undefined when that is no pipe. */
  takeInput(): InputStream | undefined;
  /**
   * Closes all that was not handed over. Once the program has its copies the
   * daemon's must go, or the outputs would never end.
   */
  close(): void;
}

/** What a program reads: all of it at once, or what is written later. */
export type StdinKind = Uint8Array | 'pipe';

/** Opens what a program of this user reads and writes. */
export async function openStdio(
  { pipes, privateDirectory }: StdioSource,
  account: Account,
  stdin: StdinKind,
): Promise<Stdio> {
  const open = new OpenDescriptors();
  try {
    const stdout = open.addPipe(await pipes.take(account));
    const stderr = open.addPipe(await pipes.take(account));
    const input = stdin === 'pipe' ? open.addPipe(await pipes.takeForInput(account)) : undefined;
    const file =
      stdin !== 'pipe' && stdin.length > 0
        ? open.add(openInput(privateDirectory, stdin, account))
        : undefined;
    const read = (fd: number) => new Socket({ fd: open.take(fd), readable: true, writable: false });
    const write = (fd: number) =>
      new InputStream(new Socket({ fd: open.take(fd), readable: false, writable: true }));
    return {
      forProgram: { stdin: input?.readFd ?? file, stdout: stdout.writeFd, stderr: stderr.writeFd },
      takeOutput: () => new Output({ stdout: read(stdout.readFd), stderr: read(stderr.readFd) }),
      takeInput: () => (input ? write(input.writeFd) : undefined),
      close: () => open.close(),
    };
  } catch (error) {
    open.close();
    throw error;
  }
}

/** Descriptors that are closed unless somebody takes them over. */
class OpenDescriptors {
  readonly #open = new Set<number>();

  add(fd: number): number {
    this.#open.add(fd);
    return fd;
  }

  addPipe<P extends { readFd: number; writeFd: number }>(pipe: P): P {
    this.#open.add(pipe.readFd).add(pipe.writeFd);
    return pipe;
  }

  take(fd: number): number {
    this.#open.delete(fd);
    return fd;
  }

  close(): void {
    for (const fd of this.#open) closeSync(fd);
    this.#open.clear();
  }
}
