import type { Readable, Writable } from 'node:stream';

/** Where a command reads and prints. Tests give it streams of their own. */
export interface CliIo {
  stdin: Readable & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown };
  stdout: Writable & { isTTY?: boolean };
  stderr: Writable;
  environment: NodeJS.ProcessEnv;
}

/** Writes one line. */
export function printLine(stream: Writable, line = ''): void {
  stream.write(`${line}\n`);
}
