/** How long the steps of an operation take, for one line of the log. */
export class StepTimes {
  readonly #durationsMs = new Map<string, number>();

  /** Does a step and notes its time, also when it fails. */
  async measure<T>(name: string, step: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    try {
      return await step();
    } finally {
      this.#durationsMs.set(name, performance.now() - startedAt);
    }
  }

  /** `<step>_ms` for each step, and `total_ms`. */
  fields(): Record<string, number> {
    const steps = [...this.#durationsMs].map(([name, ms]) => [`${name}_ms`, Math.round(ms)]);
    const totalMs = [...this.#durationsMs.values()].reduce((sum, ms) => sum + ms, 0);
    return { ...Object.fromEntries(steps), total_ms: Math.round(totalMs) };
  }
}
