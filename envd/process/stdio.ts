/** The input and the two outputs of one program, open on both sides. */
import { closeSync } from 'node:fs';
import type { Account } from '../accounts.js';
import type { Descriptors } from './child.js';
import { openInput } from './input-file.js';
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
  /**
   * Closes all that was not handed over. Once the program has its copies the
   * daemon's must go, or the outputs would never end.
   */
  close(): void;
}

/** Opens what a program of this user reads and writes. */
export async function openStdio(
  { pipes, privateDirectory }: StdioSource,
  account: Account,
  stdin: Uint8Array,
): Promise<Stdio> {
  const open = new Set<number>();
  const close = () => {
    for (const fd of open) closeSync(fd);
    open.clear();
  };
  const takePipe = async () => {
    const pipe = await pipes.take(account);
    open.add(pipe.readFd).add(pipe.writeFd);
    return pipe;
  };
  try {
    const stdout = await takePipe();
    const stderr = await takePipe();
    const input = stdin.length > 0 ? openInput(privateDirectory, stdin, account) : undefined;
    if (input !== undefined) open.add(input);
    return {
      forProgram: { stdin: input, stdout: stdout.writeFd, stderr: stderr.writeFd },
      takeOutput() {
        for (const { readFd } of [stdout, stderr]) open.delete(readFd);
        return new Output(stdout.readFd, stderr.readFd);
      },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}
