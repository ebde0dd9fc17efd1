/**
 * What a program of a fake guest is: a machine that does one small step after
 * the other, and whose state is JSON. So it can be stopped between any two
 * steps, and go on in another guest that was restored from a snapshot.
 */
import type { TerminalSize } from '../../../../gen/ts/wrenn/envd/v1/process.js';

export type OutputName = 'stdout' | 'stderr';

/** What a program is started with; it stays the same. */
export interface ProgramStart {
  args: string[];
  env: Record<string, string>;
  cwd: string;
  user: string;
}

/** What a program can do at each step. */
export interface ProgramIo extends ProgramStart {
  hostname: string;
  /** Milliseconds that the guest has run. */
  nowMs: number;
  /** Undefined without a terminal. */
  terminal: TerminalSize | undefined;
  /** Reads a file of the guest; undefined when there is none. */
  readFile(path: string): Buffer | undefined;
  /** Takes the next input, at most as many bytes; undefined when there is none at the moment. */
  read(bytesMax?: number): Buffer | undefined;
  /** Whether all input has been read and no more will come. */
  inputEnded(): boolean;
  /** Writes output, at most 32 KiB a step. */
  write(data: Buffer, output?: OutputName): void;
}

/** How it goes on after a step: at once, when input comes, at a time of the guest, or not at all. */
export type Step =
  | { after: 'nothing' }
  | { after: 'input' }
  | { after: 'time'; atMs: number }
  | { after: 'end'; exitCode: number };

/** What a program knows between two steps; empty at its start. */
export type ProgramState = { [name: string]: unknown };

export interface Program {
  step(io: ProgramIo, state: ProgramState): Step;
  /** Whether its state is all that it is, so that it outlives the restore of a snapshot. */
  carried: boolean;
}

export const ONWARD: Step = { after: 'nothing' };
export const ON_INPUT: Step = { after: 'input' };

export function end(exitCode: number): Step {
  return { after: 'end', exitCode };
}

/** Writes lines. */
export function print(io: ProgramIo, lines: string[], output: OutputName = 'stdout'): void {
  const data = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  if (data.length > 0) io.write(data, output);
}
