/**
 * Keeps marked which images this host needs, so that a build of newer ones
 * leaves them: those of running sandboxes and those of all generations.
 */
import type { Host } from './host.js';
import type { Sandbox } from './sandbox.js';

export class ImageMarks {
  readonly #host: Host;
  readonly #sandboxes: () => readonly Sandbox[];
  #last: Promise<void> = Promise.resolve();

  constructor(host: Host, sandboxes: () => readonly Sandbox[]) {
    this.#host = host;
    this.#sandboxes = sandboxes;
  }

  /** Brings the marks up to date; durable when it resolves. Calls take turns. */
  update(): Promise<void> {
    const update = this.#last.then(() => this.#update());
    this.#last = update.catch(() => undefined);
    return update;
  }

  async #update(): Promise<void> {
    const frozen = this.#host.snapshots.images();
    // What cannot be read may need any image: the marks stay as they are.
    if (!frozen) return;
    const live = this.#sandboxes().flatMap(({ entry }) => Object.values(entry.images));
    await this.#host.markImages(new Set([...frozen, ...live]));
  }
}
