/** Nudges the reconciler when the host says that something changed there, such as a VMM that ended. */
import { delay } from '../../lib/lifecycle/delay.js';
import type { HostAgent } from '../hosts/host-agent.js';

/** Pause before the watch is opened anew. */
export const REOPEN_PAUSE_MS = 500;

export class ChangeWatch {
  readonly #closing = new AbortController();
  readonly #loop: Promise<void>;

  constructor(host: HostAgent, nudge: () => void) {
    this.#loop = this.#run(host, nudge);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  async #run(host: HostAgent, nudge: () => void): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        for await (const _ of host.watchChanges(signal)) nudge();
      } catch {
        // The host is away or starts again; the next try, or the reconciler's own pass, finds out.
      }
      await delay(REOPEN_PAUSE_MS, signal).catch(() => undefined);
    }
  }
}
