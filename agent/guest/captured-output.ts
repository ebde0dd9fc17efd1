/** Capacity at first; most programs print little. */
const CAPACITY_BYTES = 4 * 1024;

/**
 * The first part of an output; what exceeds it is dropped. The pieces are copied into one buffer:
 * a guest chooses how small they are, and each piece that is kept as it came costs many times
 * its content.
 */
export class CapturedOutput {
  readonly #sizeBytesMax: number;
  #buffer = Buffer.alloc(0);
  #sizeBytes = 0;
  #truncated = false;

  constructor(sizeBytesMax: number) {
    this.#sizeBytesMax = sizeBytesMax;
  }

  add(chunk: Buffer): void {
    const room = this.#sizeBytesMax - this.#sizeBytes;
    if (chunk.length > room) this.#truncated = true;
    const keptBytes = Math.min(chunk.length, room);
    this.#reserve(this.#sizeBytes + keptBytes);
    chunk.copy(this.#buffer, this.#sizeBytes, 0, keptBytes);
    this.#sizeBytes += keptBytes;
  }

  get truncated(): boolean {
    return this.#truncated;
  }

  content(): Buffer {
    return this.#buffer.subarray(0, this.#sizeBytes);
  }

  /** Doubles the buffer until it holds so many bytes, which are within the limit. */
  #reserve(sizeBytes: number): void {
    if (sizeBytes <= this.#buffer.length) return;
    const wanted = Math.max(sizeBytes, this.#buffer.length * 2, CAPACITY_BYTES);
    const larger = Buffer.alloc(Math.min(wanted, this.#sizeBytesMax));
    this.#buffer.copy(larger, 0, 0, this.#sizeBytes);
    this.#buffer = larger;
  }
}
