/** What the agent of a benchmark's platform has written about its steps. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { retry } from '../lib/lifecycle/delay.js';
import type { CountReport } from './report.js';
import { summarize } from './statistics.js';

/** The log is written by another process, which may do it a moment after its answer. */
const APPEAR = { timeoutMs: 5_000, pauseMs: 5, pauseMsMax: 50 };
/** What is made in the background takes its time. */
const WAIT = { timeoutMs: 60_000, pauseMs: 50, pauseMsMax: 200 };
const FILE_NAME = 'agent.log';
const STEP_SUFFIX = '_ms';

/** Milliseconds by the name of the step. */
export type StepTimes = Record<string, number>;

export class AgentLog {
  readonly #path: string;

  constructor(stateDirectory: string) {
    this.#path = join(stateDirectory, 'logs', FILE_NAME);
  }

  /** Resolves when so many lines with this message are there. */
  async waitFor(message: string, lines: number): Promise<void> {
    await retry(async () => {
      const found = (await readFile(this.#path, 'utf8')).split(message).length - 1;
      if (found < lines) throw new Error(`${found} lines '${message}', not ${lines}`);
    }, WAIT);
  }

  /** Times of the newest line with this message that is about a sandbox. */
  stepsOf(message: string, sandboxId: string): Promise<StepTimes> {
    return retry(async () => {
      const lines = (await readFile(this.#path, 'utf8')).split('\n').reverse();
      const line = lines.find((one) => one.includes(message) && one.includes(sandboxId));
      if (line === undefined) throw new Error(`no line '${message}' of ${sandboxId}`);
      return stepTimes(JSON.parse(line) as Record<string, unknown>);
    }, APPEAR);
  }
}

function stepTimes(fields: Record<string, unknown>): StepTimes {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) =>
      name.endsWith(STEP_SUFFIX) && typeof value === 'number'
        ? [[name.slice(0, -STEP_SUFFIX.length), value] as const]
        : [],
    ),
  );
}

/** The median of each step, in the order of the log. */
export function medianSteps(label: string, steps: readonly StepTimes[]): CountReport[] {
  return Object.keys(steps[0] ?? {}).map((name) => ({
    name: `${label}: ${name}, median ms`,
    value: summarize(steps.flatMap((times) => times[name] ?? [])).median,
  }));
}
