import type { Writable } from 'node:stream';
import { printLine } from '../io.js';

/** Prints the steps of a demo with the time that each took. */
export class Steps {
  readonly #output: Writable;
  readonly #startedAt = performance.now();

  constructor(output: Writable) {
    this.#output = output;
  }

  /** Runs one step. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    try {
      const result = await work();
      printLine(this.#output, `  ✔ ${name.padEnd(44)} ${seconds(startedAt)}`);
      return result;
    } catch (error) {
      printLine(this.#output, `  ✖ ${name.padEnd(44)} ${seconds(startedAt)}`);
      throw error;
    }
  }

  /** Prints what a step brought to light, under it. */
  show(text: string): void {
    printLine(this.#output, text.trimEnd().replace(/^/gm, '      '));
  }

  /** Prints the time since the beginning. */
  finish(text: string): void {
    printLine(this.#output, `\n${text} (${seconds(this.#startedAt).trim()} in all)`);
  }
}

function seconds(startedAt: number): string {
  return `${((performance.now() - startedAt) / 1000).toFixed(2).padStart(7)} s`;
}
