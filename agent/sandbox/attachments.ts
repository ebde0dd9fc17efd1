/**
 * The attachment of a follower to its program, renewed after each resume even
 * while nobody takes what it tells: a guest holds a program back only for a
 * short while for a follower who does not come back.
 */
import { LinkedSignal } from '../../lib/lifecycle/linked-signal.js';
import type { GuestClient } from '../guest/guest-client.js';
import type { GuestProcessEvent } from '../guest/process-events.js';
import type { SandboxRegistry } from './registry.js';
import { currentRun, nextRun, type Run } from './runs.js';

/** Opens the events of the program in one run of its sandbox. */
type Open = (guest: GuestClient, signal: AbortSignal) => AsyncIterable<GuestProcessEvent>;

export interface Attachment {
  run: Run;
  events: AsyncGenerator<GuestProcessEvent, void, void>;
}

interface Held extends Attachment {
  release: () => void;
}

export class Attachments implements Disposable {
  readonly #registry: SandboxRegistry;
  readonly #sandboxId: string;
  readonly #open: Open;
  readonly #ending = new AbortController();
  readonly #linked: LinkedSignal;
  #held: Held;
  #failure: { error: unknown } | undefined;
  #wake: () => void = () => undefined;

  /** Attaches to a sandbox that runs now. @throws WrennError SANDBOX_NOT_FOUND, SANDBOX_STATE, STREAM_LIMIT */
  constructor(registry: SandboxRegistry, sandboxId: string, open: Open, signal: AbortSignal) {
    this.#linked = new LinkedSignal(signal, this.#ending.signal);
    this.#registry = registry;
    this.#sandboxId = sandboxId;
    this.#open = open;
    this.#held = this.#attach(currentRun(registry, sandboxId));
    void this.#renew();
  }

  /**
   * The attachment to the run that goes on, as soon as there is one.
   * @throws WrennError SANDBOX_NOT_FOUND, SANDBOX_STATE when none will be; STREAM_LIMIT; the
   *   signal's reason
   */
  async live(): Promise<Attachment> {
    while (this.#held.run.isOver() && !this.#failure) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure) throw this.#failure.error;
    return this.#held;
  }

  /** Lets go of the program. */
  [Symbol.dispose](): void {
    this.#ending.abort(new Error('nobody follows any more'));
    this.#held.release();
    this.#linked[Symbol.dispose]();
  }

  async #renew(): Promise<void> {
    const { signal } = this.#linked;
    try {
      for (;;) {
        await this.#endOf(this.#held.run);
        const run = await nextRun(this.#registry, this.#sandboxId, signal);
        this.#held.release();
        this.#held = this.#attach(run);
        this.#wake();
      }
    } catch (error) {
      this.#failure = { error };
      this.#wake();
    }
  }

  async #endOf(run: Run): Promise<void> {
    const { changes } = this.#registry;
    for (let seen = changes.count; !run.isOver(); ) {
      seen = await changes.after(seen, this.#linked.signal);
    }
  }

  #attach(run: Run): Held {
    const letGo = run.sandbox.openStream();
    const events = this.#open(run.guest, this.#linked.signal)[Symbol.asyncIterator]();
    // The guest hears of it with the first event that is asked for.
    const first = events.next();
    first.catch(() => undefined);
    let isReleased = false;
    const release = () => {
      if (isReleased) return;
      isReleased = true;
      letGo();
      void events.return?.().catch(() => undefined);
    };
    return { run, events: withFirst(first, events), release };
  }
}

async function* withFirst<T>(
  first: Promise<IteratorResult<T>>,
  rest: AsyncIterator<T>,
): AsyncGenerator<T, void, void> {
  for (let next = await first; !next.done; next = await rest.next()) yield next.value;
}
