/** Splits a byte stream into lines of bounded length. */
const NEWLINE = 0x0a;

export class LineReader {
  readonly #lineBytesMax: number;
  readonly #onLine: (line: string) => void;
  #chunks: Buffer[] = [];
  #size = 0;

  constructor(lineBytesMax: number, onLine: (line: string) => void) {
    this.#lineBytesMax = lineBytesMax;
    this.#onLine = onLine;
  }

  /** @throws Error when a line is too long; then no more may be added. */
  add(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#keep(chunk.subarray(start, end));
      this.#onLine(this.#take());
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  #keep(part: Buffer): void {
    this.#size += part.length;
    if (this.#size > this.#lineBytesMax) {
      throw new Error(`a line is longer than ${this.#lineBytesMax} bytes`);
    }
    if (part.length > 0) this.#chunks.push(part);
  }

  #take(): string {
    const line = Buffer.concat(this.#chunks).toString('utf8');
    this.#chunks = [];
    this.#size = 0;
    return line;
  }
}
