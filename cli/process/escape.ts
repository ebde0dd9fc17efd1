/**
 * The keys that leave a terminal: `~.` at the start of a line, as in ssh. `~~`
 * types one `~`.
 */
const RETURN = 0x0d;
const NEWLINE = 0x0a;
const TILDE = 0x7e;
const DOT = 0x2e;

export class EscapeKeys {
  #isLineStart = true;
  #hasTilde = false;

  /** What of the typed bytes is for the program, and whether the keys were among them. */
  take(typed: Uint8Array): { input: Buffer; isLeaving: boolean } {
    const input: number[] = [];
    for (const byte of typed) {
      if (this.#hasTilde && byte === DOT) return { input: Buffer.from(input), isLeaving: true };
      if (this.#hasTilde && byte !== TILDE) input.push(TILDE);
      if (!this.#hasTilde && this.#isLineStart && byte === TILDE) {
        this.#hasTilde = true;
        continue;
      }
      input.push(byte);
      this.#hasTilde = false;
      this.#isLineStart = byte === RETURN || byte === NEWLINE;
    }
    return { input: Buffer.from(input), isLeaving: false };
  }
}
