import type { Writable } from 'node:stream';
import { printLine } from '../io.js';
import { formatTable } from '../output/table.js';

const NAME_WIDTH = 52;
/** How often a terminal shows that a step still goes on. */
const TERMINAL_PROGRESS_MS = 1000;
/** The same where lines stay. */
const LOG_PROGRESS_MS = 15_000;

/** Prints the steps of a demo with the time that each took. */
export class Steps {
  readonly #output: Writable & { isTTY?: boolean };
  readonly #startedAt = performance.now();
  readonly #highlights: [name: string, time: string][] = [];

  constructor(output: Writable & { isTTY?: boolean }) {
    this.#output = output;
  }

  /**
   * Runs one step.
   * @param highlight what the summary calls it; without one it is not in there.
   */
  async run<T>(name: string, work: () => Promise<T>, highlight?: string): Promise<T> {
    const startedAt = performance.now();
    const stopProgress = this.#showProgress(name, startedAt);
    let mark = '✖';
    try {
      const result = await work();
      mark = '✔';
      if (highlight) this.#highlights.push([highlight, seconds(startedAt)]);
      return result;
    } finally {
      stopProgress();
      printLine(this.#output, stepLine(mark, name, startedAt));
    }
  }

  /** Prints what a step brought to light, under it. */
  show(text: string): void {
    printLine(this.#output, text.trimEnd().replace(/^/gm, '      '));
  }

  /** Prints the highlights as a table. */
  summarize(): void {
    printLine(this.#output);
    const table = formatTable(['', 'TIME'], this.#highlights, { numbersFrom: 1 });
    for (const line of table) printLine(this.#output, `  ${line}`);
  }

  /** Prints the time since the beginning. */
  finish(text: string): void {
    printLine(this.#output, `\n${text} (${seconds(this.#startedAt)} in all)`);
  }

  /** @returns what ends it, and clears the line for the result. */
  #showProgress(name: string, startedAt: number): () => void {
    const isTerminal = this.#output.isTTY ?? false;
    const show = () => {
      const line = stepLine('…', name, startedAt);
      this.#output.write(isTerminal ? `\r${line}` : `${line} so far\n`);
    };
    if (isTerminal) show();
    const timer = setInterval(show, isTerminal ? TERMINAL_PROGRESS_MS : LOG_PROGRESS_MS);
    return () => {
      clearInterval(timer);
      if (isTerminal) this.#output.write('\r');
    };
  }
}

function stepLine(mark: string, name: string, startedAt: number): string {
  return `  ${mark} ${name.padEnd(NAME_WIDTH)} ${seconds(startedAt).padStart(9)}`;
}

function seconds(startedAt: number): string {
  return `${((performance.now() - startedAt) / 1000).toFixed(2)} s`;
}
