/** Ended programs that are still known: the newest, within bounds of number, bytes and time. */
import type { ProcessLimits } from './process-limits.js';

interface Ended {
  id: string;
  sizeBytes: number;
}

interface Entry {
  process: Ended;
  forgetAt: number;
}

export class EndedProcesses {
  readonly #limits: ProcessLimits;
  readonly #forget: (id: string) => void;
  /** Oldest end first. */
  readonly #entries = new Map<string, Entry>();
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: ProcessLimits, forget: (id: string) => void) {
    this.#limits = limits;
    this.#forget = forget;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Keeps one; one that is kept already counts as ended now. */
  add(process: Ended): void {
    this.#entries.delete(process.id);
    this.#entries.set(process.id, {
      process,
      forgetAt: performance.now() + this.#limits.endedKeptMs,
    });
    this.#prune();
  }

  #prune(): void {
    const now = performance.now();
    let bytes = 0;
    for (const { process } of this.#entries.values()) bytes += process.sizeBytes;
    for (const [id, { process, forgetAt }] of this.#entries) {
      const { endedMax, endedBytesMax } = this.#limits;
      if (this.#entries.size <= endedMax && bytes <= endedBytesMax && forgetAt > now) break;
      bytes -= process.sizeBytes;
      this.#entries.delete(id);
      this.#forget(id);
    }
    this.#scheduleNext(now);
  }

  #scheduleNext(now: number): void {
    clearTimeout(this.#timer);
    const [oldest] = this.#entries.values();
    if (!oldest) return;
    this.#timer = setTimeout(() => this.#prune(), Math.ceil(oldest.forgetAt - now));
    this.#timer.unref();
  }
}
