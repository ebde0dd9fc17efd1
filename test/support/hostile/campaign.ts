/** Runs very many requests, a few at a time, and keeps what was wrong with the answers. */
import { expect } from 'chai';

/** Requests at once. */
const WORKERS = 24;
const PROBLEMS_SHOWN_MAX = 12;

export interface Attempt {
  /** What is sent, in a few words. */
  what: () => string;
  /** Sends it and says what is wrong with the answer. */
  run: () => Promise<string | undefined>;
}

/** @throws AssertionError naming attempts whose answers are wrong, and how many there are. */
export async function runAll(attempts: Iterable<Attempt>): Promise<void> {
  const problems: string[] = [];
  const queue = attempts[Symbol.iterator]();
  const work = async () => {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      const { what, run } = next.value;
      const problem = await run();
      if (problem !== undefined) problems.push(`${what()}: ${problem}`);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
  expect(problems.slice(0, PROBLEMS_SHOWN_MAX), `${problems.length} answers`).to.deep.equal([]);
}

/** Text for a title or a report: short, and without what a terminal would act on. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}… (${text.length})` : text);
}
