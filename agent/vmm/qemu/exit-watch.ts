/**
 * Notices the end of a process that is nobody's child here: an agent that
 * started again is not told of the end of the VMMs of the one before.
 */
import { isRunning, type ProcessIdentity } from '../launch/process-table.js';

export const EXIT_WATCH_INTERVAL_MS = 1000;

export class ExitWatch {
  readonly #identity: ProcessIdentity;
  readonly #timer: NodeJS.Timeout;
  #resolve: (how: string) => void = () => undefined;

  /** Resolves when the process has ended, with words for it. */
  readonly ended: Promise<string>;

  constructor(identity: ProcessIdentity) {
    this.#identity = identity;
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#timer = setInterval(() => void this.check(), EXIT_WATCH_INTERVAL_MS);
    this.#timer.unref();
  }

  /** Looks at once; for those who have a sign that the process has ended. Never rejects. */
  async check(): Promise<void> {
    // What cannot be read is no proof of an end; the next look may tell.
    if (await isRunning(this.#identity).catch(() => true)) return;
    this.stop();
    this.#resolve('the process is gone');
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
