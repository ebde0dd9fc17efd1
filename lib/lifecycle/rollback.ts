/**
 * A stack of undos for an operation of several steps. Each step that acquires
 * something defers its release; `commit` hands the undos to a new owner; what
 * is not committed is undone, last first, when the scope ends:
 *
 *     await using rollback = new Rollback(report);
 *
 *     const slot = await network.acquire();
 *     rollback.defer('network slot', () => network.release(slot));
 *
 *     return new Sandbox(slot, rollback.commit());
 *
 * Undoing never throws (an error thrown while another is in flight would hide
 * it): each failed undo is reported instead. Node 20 has no AsyncDisposableStack.
 */
export type Undo = (signal: AbortSignal) => void | PromiseLike<void>;
export type ReportFailedUndo = (step: string, cause: unknown) => void;

/** How long one undo may take before it is reported as failed and left behind. */
export const UNDO_TIMEOUT_MS = 30_000;

interface Step {
  name: string;
  undo: Undo;
}

export class Rollback implements AsyncDisposable {
  readonly #report: ReportFailedUndo;
  readonly #undoTimeoutMs: number;
  #steps: Step[] = [];

  constructor(report: ReportFailedUndo, undoTimeoutMs = UNDO_TIMEOUT_MS) {
    this.#report = report;
    this.#undoTimeoutMs = undoTimeoutMs;
  }

  /** Adds the undo of a step that has been done. It must be safe to run twice. */
  defer(step: string, undo: Undo): void {
    this.#steps.push({ name: step, undo });
  }

  /** Moves all undos to a new owner; this one then has nothing left to undo. */
  commit(): Rollback {
    const owner = new Rollback(this.#report, this.#undoTimeoutMs);
    owner.#steps = this.#steps;
    this.#steps = [];
    return owner;
  }

  /**
   * Undoes all steps, last first, each with its own time limit and none under
   * the caller's signal.
   * @returns how many undos failed; each has been reported.
   */
  async undo(): Promise<number> {
    const steps = this.#steps.reverse();
    this.#steps = [];
    let failed = 0;
    for (const { name, undo } of steps) {
      try {
        await withTimeout(undo, this.#undoTimeoutMs);
      } catch (cause) {
        failed += 1;
        this.#report(name, cause);
      }
    }
    return failed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.undo();
  }
}

async function withTimeout(undo: Undo, timeoutMs: number): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs);
  const expired = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  expired.catch(() => undefined);
  await Promise.race([undo(signal), expired]);
}
