import type { EventEmitter } from 'node:events';
import type { Readable, Writable } from 'node:stream';

/** Where a command reads and prints. Tests give it streams of their own. */
export interface CliIo {
  stdin: Readable & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown };
  /** A terminal has a size, and says `resize` when it changes. */
  stdout: Writable & { isTTY?: boolean; columns?: number; rows?: number };
  stderr: Writable & { isTTY?: boolean };
  environment: NodeJS.ProcessEnv;
  /** Makes the terminal show bytes as they are, until its raw mode ends. */
  setRawOutput?: () => Promise<void>;
  /** Tells the signals that this command gets; without listeners they end it. */
  signals?: EventEmitter;
}

/** Writes one line. */
export function printLine(stream: Writable, line = ''): void {
  stream.write(`${line}\n`);
}
