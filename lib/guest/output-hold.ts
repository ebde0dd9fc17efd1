/**
 * For whom a program waits: one stream at a time. It moves on as that stream takes output. When the
 * stream ends the hold ends; but when the restore of a snapshot broke it, the hold stands for a
 * while, for the holder to come back.
 */

/** The hold in the hands of one stream. What an earlier stream does with its grip has no effect. */
export interface Grip {
  /** Says that everything before an offset was taken. */
  advance(offset: number): void;
  release(): void;
}

interface Holder {
  /** The other end of the stream's connection. */
  peer: string;
}

export class OutputHold {
  readonly #returnMs: number;
  readonly #onMove: (offset: number | undefined) => void;
  #holder: Holder | undefined;
  #returning: NodeJS.Timeout | undefined;

  /** @param onMove hears what the holder takes next; undefined when nobody holds any more. */
  constructor(returnMs: number, onMove: (offset: number | undefined) => void) {
    this.#returnMs = returnMs;
    this.#onMove = onMove;
  }

  get isHeld(): boolean {
    return this.#holder !== undefined || this.#returning !== undefined;
  }

  /** Takes the hold, from whoever has it. */
  take(offset: number, peer: string): Grip {
    clearTimeout(this.#returning);
    this.#returning = undefined;
    const holder = { peer };
    this.#holder = holder;
    this.#onMove(offset);
    return {
      advance: (next) => {
        if (this.#holder === holder) this.#onMove(next);
      },
      release: () => {
        if (this.#holder === holder) this.#free();
      },
    };
  }

  /** Says that all connections but one break, and that a holder on one of them may come back. */
  expectReturn(stayingPeer: string): void {
    if (this.#returning === undefined && this.#holder === undefined) return;
    if (this.#holder?.peer === stayingPeer) return;
    this.#awaitReturn();
  }

  /** Takes the hold for a holder of before a restore, who may come back. */
  restore(offset: number): void {
    this.#onMove(offset);
    this.#awaitReturn();
  }

  #awaitReturn(): void {
    this.#holder = undefined;
    clearTimeout(this.#returning);
    this.#returning = setTimeout(() => this.#free(), this.#returnMs);
    this.#returning.unref();
  }

  #free(): void {
    this.#holder = undefined;
    this.#returning = undefined;
    this.#onMove(undefined);
  }
}
