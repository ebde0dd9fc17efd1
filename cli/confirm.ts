import { createInterface } from 'node:readline/promises';
import { CliError } from './failure.js';
import type { CliIo } from './io.js';

/** What is said when the answer is not yes. */
interface Otherwise {
  refusal: string;
  hint?: string;
}

/**
 * Asks before something that cannot be undone.
 * @throws CliError when the answer is not yes, or nobody can be asked.
 */
export async function confirm(
  io: CliIo,
  question: string,
  { refusal, hint }: Otherwise = { refusal: 'nothing was changed' },
): Promise<void> {
  if (!io.stdin.isTTY) {
    throw new CliError(`${question} There is no terminal to ask on.`, hint ?? 'say so by --yes');
  }
  const reader = createInterface({ input: io.stdin, output: io.stderr });
  try {
    const answer = await reader.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new CliError(refusal, hint);
  } finally {
    reader.close();
  }
}
