/** Reads a password: from a terminal without showing it, or from a pipe. */

import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { CliError } from './failure.js';
import type { CliIo } from './io.js';

/**
 * @param fromPipe whether standard input holds the password (`--password-stdin`).
 * @throws CliError when there is no terminal to ask on.
 */
export async function readPassword(io: CliIo, fromPipe: boolean): Promise<string> {
  if (fromPipe) return (await text(io.stdin)).replace(/\r?\n$/, '');
  if (!io.stdin.isTTY) {
    throw new CliError(
      'there is no terminal to ask for the password on',
      'pipe it in with --password-stdin',
    );
  }
  return await ask(io, 'Password: ');
}

async function ask(io: CliIo, question: string): Promise<string> {
  // The terminal is read in raw mode, and what readline would echo goes nowhere.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: io.stdin, output: nowhere, terminal: true });
  const interrupted = new Promise<never>((_, reject) => {
    reader.once('SIGINT', () => reject(new CliError('cancelled')));
  });
  io.stderr.write(question);
  try {
    return await Promise.race([reader.question(''), interrupted]);
  } finally {
    reader.close();
    io.stderr.write('\n');
  }
}
