/** A program of this folder in a process of its own, which prints the address that it listens on. */
import { join } from 'node:path';
import { packageRoot } from '../lib/files/package-root.js';
import { BackgroundProcess } from './background-process.js';

const START_TIMEOUT_MS = 60_000;
const END_TIMEOUT_MS = 30_000;

export interface Program extends AsyncDisposable {
  /** The first line that it printed. */
  address: string;
}

/** @param name of its file, without the ending. @throws Error when it ends before it listens. */
export async function startProgram(name: string, args: readonly string[]): Promise<Program> {
  const path = join(packageRoot(), 'dist', 'bench', `${name}.js`);
  const command = [process.execPath, path, ...args];
  const program = new BackgroundProcess({ command, deathSignal: 'KILL' });
  try {
    const address = await program.firstLine(START_TIMEOUT_MS);
    return {
      address,
      [Symbol.asyncDispose]: () => program.end('SIGTERM', END_TIMEOUT_MS),
    };
  } catch (cause) {
    await program.end('SIGKILL', END_TIMEOUT_MS);
    throw new Error(`${name}: ${program.lastWords}`, { cause });
  }
}
