/**
 * A program that a guest daemon has started, as the table of launched processes sees it. The real
 * daemon makes it of a child process and its pipes or terminal, the fake one of a generator.
 */
import type { LaunchRequest, TerminalSize } from '../../gen/ts/wrenn/envd/v1/process.js';
import type { OutputStreamName } from './output-ring.js';

export interface ProgramOutput {
  stream: OutputStreamName;
  data: Uint8Array;
}

export interface ProgramExit {
  exitCode: number;
  /** Name of the signal that ended it; empty otherwise. */
  signal: string;
  /** `performance.now()` of the end. */
  endedAt: number;
}

export interface Program {
  /** Process id in the guest; also the id of its process group. */
  readonly pid: number;
  /** Working directory that it was started in. */
  readonly cwd: string;
  /**
   * All that it prints, in order, read once; it ends when the program has ended and no more is to
   * come. Who does not read on holds the program back.
   */
  readonly output: AsyncIterable<ProgramOutput>;
  /** Settles when the program has ended, perhaps before its output; never rejects. */
  readonly exited: Promise<ProgramExit>;
  /** Adds to its input, in order. Settles when the program's pipe has it; rejects when nobody can read it any more. */
  write(input: Buffer): Promise<void>;
  /** Ends the input after what was written. Called once. */
  closeInput(): void;
  /** Changes the size of its terminal; only called for a program that has one. */
  resize(size: TerminalSize): Promise<void>;
  /** Sends a signal to its process group; only called while it runs. */
  signal(number: number): void;
}

/**
 * Starts a program. Its input is open unless `closeStdin`; `timeoutMs`, `processId` and `holderId`
 * are not its concern.
 * @throws WrennError of the failures that start with `program_`.
 */
export type StartProgram = (request: LaunchRequest) => Promise<Program>;
