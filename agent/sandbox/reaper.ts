/** Looks at all sandboxes every second; a look that takes longer is not overtaken by the next. */
export const REAP_INTERVAL_MS = 1000;

export class Reaper {
  readonly #timer: NodeJS.Timeout;
  #busy = false;

  constructor(look: () => Promise<void>) {
    this.#timer = setInterval(() => void this.#run(look), REAP_INTERVAL_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #run(look: () => Promise<void>): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      await look();
    } finally {
      this.#busy = false;
    }
  }
}
