/** The user's terminal, while a program in a sandbox has it. */
import type { TerminalSize } from '../../clients/typescript/index.js';
import { CliError } from '../failure.js';
import type { CliIo } from '../io.js';

/** Of a terminal that does not say. */
const USUAL_SIZE: TerminalSize = { cols: 80, rows: 24 };
/** The largest that a sandbox takes. */
const SIDE_MAX = 4096;
const USUAL_TYPE = 'xterm-256color';

/** Whether a user sits at both ends. */
export function isTerminal({ stdin, stdout }: CliIo): boolean {
  return stdin.isTTY === true && stdout.isTTY === true;
}

/** @throws CliError when there is none. */
export function requireTerminal(io: CliIo): void {
  if (isTerminal(io)) return;
  throw new CliError(
    'standard input or output is not a terminal',
    'leave --tty out, or run it from a terminal',
  );
}

export function terminalSize({ stdout }: CliIo): TerminalSize {
  const side = (length: number | undefined, usual: number) => Math.min(length || usual, SIDE_MAX);
  return { cols: side(stdout.columns, USUAL_SIZE.cols), rows: side(stdout.rows, USUAL_SIZE.rows) };
}

/** Its name for programs. */
export function terminalType({ environment }: CliIo): string {
  return environment.TERM || USUAL_TYPE;
}

/** Hands keys and output on as they are until it is disposed of; tells when the size changes. */
export async function takeTerminal(
  { stdin, stdout, setRawOutput }: CliIo,
  onResize: () => void,
): Promise<Disposable> {
  stdin.setRawMode?.(true);
  await setRawOutput?.();
  stdout.on('resize', onResize);
  return {
    [Symbol.dispose]: () => {
      stdout.off('resize', onResize);
      stdin.setRawMode?.(false);
    },
  };
}
