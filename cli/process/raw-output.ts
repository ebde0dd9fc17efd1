/**
 * Node's raw mode is about keys alone: the terminal still makes a carriage return
 * and a line feed of each line feed, which moves the cursor of programs that have
 * a terminal of their own in the sandbox to the wrong column.
 */
import { run } from '../../lib/process/run.js';

const STTY_TIMEOUT_MS = 2_000;

/** Lasts until raw mode ends, which puts all back. Where there is no stty, lines are a bit off. */
export async function setRawOutput(): Promise<void> {
  const limit = { timeoutMs: STTY_TIMEOUT_MS };
  const terminal = `/proc/${process.pid}/fd/1`;
  await run('stty', ['-F', terminal, '-opost'], limit).catch(() => undefined);
}
